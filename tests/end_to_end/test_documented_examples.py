"""The examples of the documentation run as they are printed, on small cohorts."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.commands.evaluate import evaluate_masks
from weakmask.datasets.cohort import check_cohort
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.refinement import CRF, refine_map
from weakmask.regions.make_regions import make_regions, relabelled
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

PROJECT = Path(__file__).resolve().parents[2]


def block(page: str, language: str, words: str) -> str:
    """The page's block that holds the words."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    found = [
        part for part in re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if words in part
    ]
    assert len(found) == 1
    return found[0]


def test_the_synthetic_x_rays_train_with_their_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block("docs/tutorials/xray.md", "python", "def chest"), {})
    for part, number in (("training", 40), ("test", 10)):
        assert len(check_cohort(tmp_path / "xray" / part).cases) == number
    changed = {
        "data.cohort": "xray/training",
        "data.test": "xray/test",
        "device": "cpu",
        "regression.steps": 3,
        "network.width": 2,
    }
    words = [word for name, value in changed.items() for word in ("--set", f"{name}={value}")]
    config = str(PROJECT / "configs" / "dram_xray.yaml")
    result = CliRunner().invoke(app, ["train", config, "--out", "run", *words], catch_exceptions=False)
    assert result.exit_code == 0
    assert "dRAM raw" in result.output
    predicted = ["predict", "run", "xray/test/images", "--regions", "xray/test/regions", "--out", "masks"]
    assert CliRunner().invoke(app, predicted, catch_exceptions=False).exit_code == 0
    masks = sorted((tmp_path / "masks").glob("*/mask.png"))
    assert len(masks) == 10
    picture = read_volume(tmp_path / "xray" / "test" / "images" / f"{masks[0].parent.name}.png")
    assert read_volume(masks[0], "label").geometry.shape == picture.geometry.shape


def test_one_score_for_both_lungs_makes_a_good_cohort_without_masks(tmp_path: Path) -> None:
    write_phantom_cohort(tmp_path / "cohort", 2, 0, (40, 48, 48), (8.0, 8.0, 8.0))
    for mask in (tmp_path / "cohort" / "regions").glob("*"):
        mask.unlink()
    names = sorted(path.name.removesuffix(".nii.gz") for path in (tmp_path / "cohort" / "images").iterdir())
    scores = "".join(f"{name},{score}\n" for score, name in enumerate(names))
    (tmp_path / "cohort" / "scores.csv").write_text(f"scan,lungs\n{scores}", encoding="utf-8")
    (tmp_path / "cohort" / "scores.yaml").write_text(block("docs/cohort.md", "yaml", "MosMed grade"), encoding="utf-8")
    cohort = check_cohort(tmp_path / "cohort")
    assert [case.scores for case in cohort.cases] == [{1: 0}, {1: 1}]
    assert cohort.score_map.interval(1) == (0.0, 0.25)
    made = make_regions(cohort.cases[0].read_image(), cohort.region_names.values(), device="cpu")
    assert set(np.unique(relabelled(made, cohort.region_names).voxels)) == {0, 1}


def test_a_numpy_map_is_refined_as_the_page_says() -> None:
    generator = torch.Generator().manual_seed(0)
    activation_map, ct_hu = torch.rand((2, 8, 10, 12), generator=generator).numpy()
    lungs = ct_hu > 0.2
    given = {"activation_map": activation_map, "ct_hu": 1000 * ct_hu - 1000, "lungs": lungs}
    exec(block("docs/refinement.md", "python", "from_numpy"), given)
    tensors = [torch.from_numpy(given[name])[None, None].float() for name in ("activation_map", "ct_hu", "lungs")]
    crf = CRF(smoothness_mm=3, smoothness_weight=2, appearance_mm=10, appearance_intensity=90, appearance_weight=4)
    expected = refine_map(tensors[0], tensors[1], crf, spacing_mm=(1.25, 0.7, 0.7), region=tensors[2] > 0)
    assert given["refined"].shape == (8, 10, 12)
    assert torch.equal(torch.from_numpy(given["refined"]), expected[0, 0])


@pytest.fixture
def phantoms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder to work in, with a cohort of two small phantoms in it."""
    write_phantom_cohort(tmp_path / "cohort", 2, 3, (40, 48, 48), (8.0, 8.0, 8.0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_scores_are_read_off_a_mask_as_the_page_says(phantoms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = min((phantoms / "cohort" / "images").iterdir()).name
    for folder, kind in (("images", "images"), ("regions", "regions"), ("masks", "truth")):
        (phantoms / folder).mkdir()
        (phantoms / folder / "patient_01.nii.gz").symlink_to(phantoms / "cohort" / kind / name)
    exec(block("docs/flow.md", "python", "region_fractions"), {})
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    given = {case.name: case.scores for case in check_cohort(phantoms / "cohort").cases}
    assert {int(lobe): int(score) for lobe, _, score in printed} == given[name.removesuffix(".nii.gz")]


def test_tables_of_two_methods_are_compared_as_the_page_says(
    phantoms: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, name in (("judged/nnunet", "nnU-Net"), ("runs/my_dram", "dRAM")):
        evaluate_masks(phantoms / "cohort" / "truth", phantoms / "cohort", phantoms / folder, name)
    exec(block("docs/tutorials/nnunet.md", "python", "compare_methods"), {})
    assert "dRAM" in capsys.readouterr().out


def test_the_pieces_of_refinement_run_as_the_reference_says() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand((1, 1, 8, 10, 12), generator=generator)
    grid = Geometry((8, 10, 12), (1.25, 0.7, 0.7))
    scan, regions = Volume((1000 * maps[0, 0] - 1000).numpy(), grid), np.ones((8, 10, 12), dtype=np.uint8)
    given = {
        "maps": maps,
        "activation_map": maps,
        "activation_logits": maps,
        "ct": 1000 * maps - 1000,
        "ct_hu": 1000 * maps - 1000,
        "edge": maps,
        "features_1": torch.rand((1, 64, 8, 10, 12), generator=generator),
        "features_2": torch.rand((1, 128, 8, 10, 12), generator=generator),
        "scan": scan,
        "regions": regions,
        "mask": regions > 0,
        "mask_map": maps[0, 0].numpy(),
        "contour_map": maps[0, 0].numpy(),
        "examples": [(maps[0, 0].numpy(), 1 - maps[0, 0].numpy(), (maps[0, 0] > 0.9).numpy().astype(np.uint32))],
    }
    text = (PROJECT / "docs" / "reference" / "refinement.md").read_text(encoding="utf-8")
    for part in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lungs = Volume(regions, grid, kind="label") if "vessel_mask" in part else maps > 0.2
        exec(part, given | {"lungs": lungs}, made := {})
        given |= {name: value for name, value in made.items() if name == "vessels"}
        results = [
            value for name, value in made.items() if name in {"refined", "revised", "walked", "mask", "lower", "labels"}
        ]
        assert "vessels" in made or len(results) == 1
        assert all(getattr(result, "shape", grid.shape)[-3:] == grid.shape for result in results)
