"""Splits: no patient in two parts, same seed same split, severity in every part, and the file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakmask.datasets.case import Case
from weakmask.datasets.splits import Split, hold_out, hold_out_by_name, k_fold, read_splits, write_splits
from weakmask.errors import UserError


def cohort(scans: int, patients: int | None = None, seed: int = 0) -> list[Case]:
    rng = np.random.default_rng(seed)
    cases = []
    for scan in range(scans):
        name = f"patient{scan % (patients or scans)}_scan{scan}"
        scores = {label: int(rng.integers(0, 6)) for label in range(1, 6)}
        patient = name.split("_", maxsplit=1)[0] if patients else ""
        cases.append(Case(name, Path(f"{name}.nii.gz"), None, None, scores, patient))
    return cases


def patients_of(names: tuple[str, ...]) -> set[str]:
    return {name.split("_")[0] for name in names}


@given(st.integers(3, 60), st.integers(3, 20), st.integers(0, 100))
def test_a_hold_out_takes_every_scan_once_and_no_patient_twice(scans: int, patients: int, seed: int) -> None:
    cases = cohort(max(scans, patients), patients)
    split = hold_out(cases, seed, validation=0.2, test=0.3)
    parts = (split.train, split.validation, split.test)
    assert sorted(name for part in parts for name in part) == sorted(case.name for case in cases)
    assert sum(len(patients_of(part)) for part in parts) == patients
    assert all(parts)
    assert len(patients_of(split.test)) == max(1, round(0.3 * patients))


@given(st.integers(2, 6), st.integers(8, 40), st.integers(0, 100), st.sampled_from([0.0, 0.2]))
def test_folds_test_every_patient_once(folds: int, patients: int, seed: int, validation: float) -> None:
    cases = cohort(2 * patients, patients)
    splits = k_fold(cases, folds, seed, validation)
    assert len(splits) == folds
    assert sorted(name for split in splits for name in split.test) == sorted(case.name for case in cases)
    sizes = [len(patients_of(split.test)) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    for split in splits:
        parts = (split.train, split.validation, split.test)
        assert sum(len(patients_of(part)) for part in parts) == patients
        assert bool(split.validation) == (validation > 0)


def test_the_seed_decides_and_the_order_of_the_cases_does_not() -> None:
    cases = cohort(40)
    assert hold_out(cases, 3) == hold_out(cases[::-1], 3)
    assert hold_out(cases, 3) != hold_out(cases, 4)
    assert k_fold(cases, 5, 3) == k_fold(cases[::-1], 5, 3)
    assert k_fold(cases, 5, 3) != k_fold(cases, 5, 4)


def test_a_split_is_the_same_on_every_machine() -> None:
    assert hold_out(cohort(10), 0, validation=0.1, test=0.2) == Split(
        train=tuple(f"patient{n}_scan{n}" for n in (0, 3, 4, 5, 6, 7, 8)),
        validation=("patient9_scan9",),
        test=("patient1_scan1", "patient2_scan2"),
    )


def test_every_part_has_about_the_same_severity() -> None:
    cases = cohort(200)
    totals = {case.name: sum(case.scores.values()) for case in cases}
    everyone = np.mean(list(totals.values()))
    spread = np.std(list(totals.values())) / np.sqrt(40)  # of the mean of 40 drawn without looking
    for seed in range(5):
        for split in k_fold(cases, 5, seed):
            assert abs(np.mean([totals[name] for name in split.test]) - everyone) < 0.5 * spread
        split = hold_out(cases, seed)
        assert abs(np.mean([totals[name] for name in split.test]) - everyone) < 0.5 * spread


def test_the_patient_may_stand_in_the_name() -> None:
    cases = [Case(f"site_{n // 4}_slice_{n % 4}", Path("x"), None, None, {1: n % 3}) for n in range(40)]
    split = hold_out(cases, 0, patient_pattern=r"^site_(\d+)_")
    patients = [{name.split("_")[1] for name in part} for part in (split.train, split.validation, split.test)]
    assert [len(part) for part in patients] == [7, 1, 2]
    assert len(set.union(*patients)) == 10
    with pytest.raises(UserError, match=r"finds no patient in the scan name 'site_0_slice_0'"):
        hold_out(cases, 0, patient_pattern="volume_([0-9]+)")
    with pytest.raises(UserError, match="finds no patient"):
        hold_out(cases, 0, patient_pattern="site")


def test_no_share_no_part() -> None:
    split = hold_out(cohort(10), 0, validation=0.0, test=0.2)
    assert split.validation == ()
    assert len(split.test) == 2


def test_too_few_patients_are_one_clean_line() -> None:
    with pytest.raises(UserError, match=r"2 patients cannot be split .* at least 3 are needed"):
        hold_out(cohort(2), 0)
    with pytest.raises(UserError, match=r"3 patients cannot be split .* at least 5 are needed"):
        k_fold(cohort(3), 5, 0)
    with pytest.raises(UserError, match="0 patients"):
        hold_out([], 0)
    with pytest.raises(UserError, match="at least 2 are needed"):
        k_fold(cohort(2), 2, 0, validation=0.3)


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="leave nothing for training"):
        hold_out(cohort(9), 0, validation=0.5, test=0.5)
    with pytest.raises(ValueError, match="some to train"):
        k_fold(cohort(9), 1, 0)
    with pytest.raises(ValueError, match="some to train"):
        k_fold(cohort(9), 2, 0, validation=0.5)


def test_splits_survive_their_file(tmp_path: Path) -> None:
    splits = k_fold(cohort(30, 12), 4, 1, validation=0.2)
    write_splits(splits, tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == splits
    assert (tmp_path / "splits.csv").read_text().startswith("fold,scan,part\n0,patient")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected the columns fold,scan,part"),
        (b"scan,part\na,test\n", "expected the columns fold,scan,part"),
        (b"fold,scan,part\n0,a\n", "in every line"),
        (b"fold,scan,part\n0,a,exam\n", "part 'exam'; expected a number and one of train, validation, test"),
        (b"fold,scan,part\nx,a,test\n", "fold 'x'"),
        (b"fold,scan,part\n0,a,test\n0,a,train\n", "a is in two parts of fold 0"),
        (b"\xff\xfe", "it is not UTF-8 text"),
    ],
)
def test_a_bad_file_is_one_clean_line(tmp_path: Path, text: bytes, message: str) -> None:
    (tmp_path / "splits.csv").write_bytes(text)
    with pytest.raises(UserError, match=message) as caught:
        read_splits(tmp_path / "splits.csv")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clean_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_splits(tmp_path / "splits.csv")


def classified(pictures: int) -> list[Case]:
    """Two pictures per patient; every fourth patient has none of the classes."""
    present = ({"cat": True, "dog": False}, {"cat": False, "dog": True}, {"cat": True, "dog": True}, {"cat": False})
    return [
        Case(f"p{n}", Path(f"p{n}.png"), None, None, {}, f"family{n // 2}", {None: present[n // 2 % 4]})
        for n in range(pictures)
    ]


def test_a_split_by_name_has_a_share_of_each_class_and_no_patient_twice() -> None:
    cases = classified(80)
    split = hold_out_by_name(cases)
    assert sorted(split.train + split.test) == sorted(case.name for case in cases)
    family = {case.name: case.patient for case in cases}
    assert not {family[name] for name in split.train} & {family[name] for name in split.test}
    kinds = [int(family[name].removeprefix("family")) % 4 for name in split.test]
    assert sorted(kinds) == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert hold_out_by_name(cases[::-1]) == split


def test_a_new_patient_moves_few_others_in_a_split_by_name() -> None:
    before, after = (set(hold_out_by_name(classified(pictures)).test) for pictures in (80, 88))
    assert len(before - after) <= 4


def test_a_split_by_name_without_a_test_part_is_refused() -> None:
    with pytest.raises(UserError, match="4 patients cannot be split"):
        hold_out_by_name(classified(8))
    with pytest.raises(ValueError, match="expected a share"):
        hold_out_by_name(classified(80), 1.0)
