"""Mutants: faults that the tests must find, each a text of one source file and the text that takes its place."""

from dataclasses import dataclass

SOURCE = "src/weakmask"
EVALUATE = "tests/region_learning/test_evaluate_run.py"
SCANS = "tests/end_to_end/test_trained_and_judged_scans.py"
FILES = "tests/end_to_end/test_predict_files.py"
ORDERS = "tests/end_to_end/test_storage_orders.py"
BACKBONES = "tests/networks/test_backbones.py"
WSMIS = "tests/methods/wsmis"
REGRESSION = "tests/methods/dram/test_regression.py"


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: What the faulty program does.
        file: Below `SOURCE`.
        old: Text that the file holds exactly once.
        new: Text in its place.
        tests: Tests of which at least one must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "judges the training scans",
        "pipeline/cohort_cases.py",
        'index["split"] == "validation"',
        'index["split"] == "training"',
        (f"{SCANS}::test_without_a_test_cohort_the_validation_scans_are_judged[cam]",),
    ),
    Mutant(
        "trains on the validation scans",
        "region_learning/prepare.py",
        '"validation" if scan in held_out else "training"',
        '"training" if scan in held_out else "validation"',
        (f"{SCANS}::test_with_a_test_cohort_its_scans_are_judged[cam]",),
    ),
    Mutant(
        "trains dRAM on the validation crops",
        "methods/dram/regression.py",
        'load_crops(prepared, "training", config.prepare, vessel_masks)',
        'load_crops(prepared, "validation", config.prepare, vessel_masks)',
        (f"{SCANS}::test_with_a_test_cohort_its_scans_are_judged[dram]",),
    ),
    Mutant(
        "makes pseudo-labels of the validation scans",
        "methods/dram/pseudo_labels.py",
        'set(index.loc[index["split"] == "training", "scan"])',
        'set(index["scan"])',
        (f"{SCANS}::test_pseudo_labels_are_made_of_the_training_scans_alone",),
    ),
    Mutant(
        "splits by scan and not by patient",
        "datasets/splits.py",
        "patient = case.group",
        "patient = case.name",
        ("tests/datasets/test_splits.py::test_a_hold_out_takes_every_scan_once_and_no_patient_twice",),
    ),
    Mutant(
        "draws scans and not patients for the interval of kappa",
        "evaluation/table.py",
        "pair = (row[PATIENT], ",
        'pair = (row["scan"], ',
        (f"{EVALUATE}::test_the_patient_reaches_the_tables_the_interval_and_the_test",),
    ),
    Mutant(
        "loses the patient on the way to the tables",
        "region_learning/evaluate_run.py",
        "score_rows(method, case.name, given, fractions, names, score_map, case.group)",
        "score_rows(method, case.name, given, fractions, names, score_map)",
        (f"{EVALUATE}::test_the_patient_reaches_the_tables_the_interval_and_the_test",),
    ),
    Mutant(
        "tests scans and not patients for significance",
        "region_learning/evaluate_run.py",
        "result_rows(method, case.name, overlaps, case.group)",
        "result_rows(method, case.name, overlaps)",
        (f"{EVALUATE}::test_the_patient_reaches_the_tables_the_interval_and_the_test",),
    ),
    Mutant(
        "lets the test scans be trained on",
        "region_learning/prepare.py",
        "config.data.test is not None and not config.data.seen",
        "config.data.test is not None and config.data.seen",
        (
            "tests/region_learning/test_prepare.py::test_test_scans_that_are_trained_on_are_refused_unless_somebody_insists",
        ),
    ),
    Mutant(
        "knows test scans by name alone",
        "datasets/seen_scans.py",
        "or any(contents.equal(scan, other) for other in training.values())",
        "or False",
        ("tests/datasets/test_seen_scans.py::test_a_name_or_a_copy_under_another_name_is_seen",),
    ),
    Mutant(
        "compares the voxels of test scans as they are stored",
        "datasets/seen_scans.py",
        "upright(read_volume(scan.path, series=scan.series))",
        "read_volume(scan.path, series=scan.series)",
        ("tests/datasets/test_seen_scans.py::test_one_scan_in_another_format_and_order_is_seen",),
    ),
    Mutant(
        "drops the region mask of the map",
        "activation/dram.py",
        "torch.sigmoid(network(image)[:, -1:].float()) * region",
        "torch.sigmoid(network(image)[:, -1:].float())",
        ("tests/activation/test_multi_scale.py::test_the_map_is_the_sigmoid_inside_the_region_with_a_gradient",),
    ),
    Mutant(
        "dilutes the map at the rim of the region",
        "activation/multi_scale.py",
        "_linear(found, shape) / weight.clamp_min(LEAST)",
        "_linear(found, shape)",
        ("tests/activation/test_multi_scale.py::test_a_constant_map_stays_constant_up_to_the_regions_rim",),
    ),
    Mutant(
        "learns unscored regions as background",
        "methods/dram/pseudo_labels.py",
        "labels[inside & ~np.isin(regions.voxels, list(scan.scores))] = NOT_LEARNT",
        "pass",
        ("tests/methods/dram/test_pseudo_labels.py::test_a_region_without_a_score_is_not_learnt",),
    ),
    Mutant(
        "takes the score 0 for healthy in pseudo-labels",
        "methods/dram/pseudo_labels.py",
        "score_map.healthy(score)",
        "score == 0",
        ("tests/methods/dram/test_pseudo_labels.py::test_a_score_whose_interval_does_not_end_at_0_may_have_lesions",),
    ),
    Mutant(
        "takes the score 0 for healthy in the score map",
        "scoring/severity.py",
        "return self.interval(score)[1] == 0.0",
        "return score == 0",
        ("tests/scoring/test_severity.py::test_healthy_is_what_the_interval_says_and_not_the_number",),
    ),
    Mutant(
        "moves the masked map for the equivariance loss",
        "methods/dram/regression.py",
        "_moved_map(probability, move)",
        "_moved_map(activation, move)",
        (f"{REGRESSION}::test_a_constant_map_is_equivariant",),
    ),
    Mutant(
        "weighs all scores alike",
        "methods/dram/regression.py",
        'return (losses * batch["weight"]).mean()',
        "return losses.mean()",
        (f"{REGRESSION}::test_the_total_is_the_weighted_sum_of_the_losses_by_hand",),
    ),
    Mutant(
        "punishes fractions inside their interval",
        "losses/interval_regression.py",
        "(y - (rl + ru) / 2) ** 2 - ((rl - ru) / 2) ** 2, min=0.0",
        "(y - (rl + ru) / 2) ** 2, min=0.0",
        ("tests/losses/test_interval_regression.py::test_gradient_is_zero_inside_and_points_back_outside",),
    ),
    Mutant(
        "learns nothing",
        "methods/dram/regression.py",
        'found = {"regression": self._regression(activation, region, batch)}',
        'found = {"regression": 0 * self._regression(activation, region, batch)}',
        ("tests/end_to_end/test_dram_learns.py",),
    ),
    Mutant(
        "averages the specificity over scans with lesions",
        "evaluation/table.py",
        'means.append(_mean(overlaps, "specificity"))',
        'means.append(_mean(positives, "specificity"))',
        ("tests/evaluation/test_table.py::test_false_alarms_in_a_healthy_scan_lower_the_specificity",),
    ),
    Mutant(
        "scores by the score map of the training cohort",
        "region_learning/write_predictions.py",
        "scored_by(found, cohort.score_map)",
        "found",
        (f"{EVALUATE}::test_scores_csv_and_severity_csv_score_by_the_same_map",),
    ),
    Mutant(
        "uses a truth with labels of another kind",
        "datasets/usable_truth.py",
        "wrong = _label_fault(truth, case.truth_kind)",
        'wrong = ""',
        ("tests/datasets/test_usable_truth.py::test_other_labels_are_refused_in_one_line",),
    ),
    Mutant(
        "goes on with inputs that have changed",
        "pipeline/stages.py",
        "changed = changed_inputs(record)",
        "changed = list[str]()",
        ("tests/pipeline/test_keys.py::test_a_changed_input_is_refused_by_its_name",),
    ),
    Mutant(
        "goes on with code or settings that have changed",
        "pipeline/stages.py",
        'if record["settings_key"] != wanted:',
        "if False:",
        ("tests/pipeline/test_keys.py::test_a_stage_that_another_function_has_made_is_refused",),
    ),
    Mutant(
        "lets a stage read what it does not declare",
        "pipeline/stages.py",
        "if self.reads is not None and name not in self.reads:",
        "if False:",
        ("tests/pipeline/test_keys.py::test_a_stage_sees_only_the_settings_and_stages_that_it_declares",),
    ),
    Mutant(
        "begins at step 0 when it resumes",
        "training/steps.py",
        "return checkpoint.step",
        "return 0",
        ("tests/training/test_fit.py::test_stopped_again_and_again_it_ends_as_if_never_stopped",),
    ),
    Mutant(
        "trains again what is trained",
        "training/fit.py",
        "if (finished := finished_training(folder, plan)) is not None:",
        "if (finished := finished_training(folder, plan)) is not None and False:",
        ("tests/end_to_end/test_kill_after_training.py::test_no_step_is_computed_twice[supervised]",),
    ),
    Mutant(
        "replaces files of the user",
        "commands/output_folder.py",
        "if file.exists() and str(file.relative_to(folder)) not in own:",
        "if False:",
        (f"{FILES}::test_a_cohort_keeps_its_scores", f"{FILES}::test_a_run_keeps_its_report"),
    ),
    Mutant(
        "replaces its own inputs",
        "commands/output_folder.py",
        "if file.exists() and _identity(file) in read:",
        "if False:",
        (f"{FILES}::test_masks_never_replace_pictures_or_regions",),
    ),
    Mutant(
        "gives models grey pictures only",
        "regions/segment_scan.py",
        "read_rgb(file)[0] if is_picture(file) else None",
        "None",
        ("tests/methods/test_add_a_method.py::test_predict_writes_a_row_per_image_and_class",),
    ),
    Mutant(
        "segments a scan in the order of its file",
        "prediction.py",
        "stored, image = scan.image.geometry, upright(scan.image)",
        "stored, image = scan.image.geometry, scan.image",
        (f"{ORDERS}::test_python_gives_masks_in_the_order_of_the_scan",),
    ),
    Mutant(
        "learns from a scan in the order of its file",
        "region_learning/usable_cases.py",
        "image = upright(scan.image)",
        "image = scan.image",
        (f"{ORDERS}::test_training_sees_the_same_crops_and_truth_in_every_order",),
    ),
    Mutant(
        "dilates the first block of a level that keeps its size",
        "networks/encoder.py",
        "found.append((1, first, dilation))",
        "found.append((1, dilation, dilation))",
        (f"{BACKBONES}::test_a_dilated_network_holds_the_undilated_ones_map",),
    ),
    Mutant(
        "lets the statistics of frozen levels move",
        "networks/encoder.py",
        "fixed += modules if stride <= self.frozen_stride else []",
        "fixed += []",
        (f"{BACKBONES}::test_a_frozen_part_stays_frozen_in_training",),
    ),
    Mutant(
        "leaves a weight random that the file lacks",
        "networks/published_weights.py",
        "            if not name.endswith(COUNTER):",
        "            if False:",
        ("tests/training/test_pretrained.py::test_a_file_of_another_network_is_one_line",),
    ),
    Mutant(
        "marks images in which the classifier finds nothing",
        "methods/wsmis/model.py",
        "if float(probable[0] if len(probable) else any_class(present.numpy()[None])[0]) < self.gate:",
        "if float(probable[0] if len(probable) else any_class(present.numpy()[None])[0]) < 0:",
        (f"{WSMIS}/test_wsmis.py::test_below_the_gate_the_mask_stays_empty_and_the_values_say_why",),
    ),
)
