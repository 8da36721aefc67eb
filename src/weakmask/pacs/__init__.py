"""Results as DICOM objects that a PACS stores and a viewer shows on the scan; images from a PACS, results to it.

`source_series`        the DICOM images that a result belongs to
`segmentation_object`  masks as DICOM SEG
`measurement_report`   volumes, shares and scores per region as a structured report (SR, TID 1500)
`captured_picture`     a picture with the scores (secondary capture), which every viewer shows
`identifiers`          UIDs that are the same whenever the same result is written
`codes`                terms of DICOM's context groups, kept in `codes.yaml`
`result_objects`       all of them for one result

`server_address`       addresses of DICOMweb servers
`dicomweb_server`      login, time limits and repeated requests
`dicomweb_images`      images from a server
`dicomweb_objects`     objects to a server
`dicom_listener`       a DICOM node that takes images
`received_images`      its images on the disk, and the state of their series
`dicom_node`           objects to a DICOM node
`dicom_tls`            certificates and the handshake of both
`transfer_faults`      faults of transfers
"""
