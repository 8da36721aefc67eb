"""A trained model and an image -> a result, and the result in files: the one way of the command line and of Python.

`trained_model`  a model that is loaded once, and segments images of any form
`result`         mask, maps, regions, values and warnings of one image
`origin`         the model, settings and inputs of a result, so that it is made again only if that changes
`statistics`     volumes, lesions and grey values of each region
`result_files`   the folder of a result: complete or absent, with a record in `scan.json`
"""

from weakmask.inference.result import Result
from weakmask.inference.trained_model import Model, load

__all__ = ["Model", "Result", "load"]
