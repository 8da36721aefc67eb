"""Two acquisitions in one DICOM series: if they lie half a slice apart, their slices look like one even stack."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from weakmask.volume.slice_stack import Slice

_MARKED = ("acquisition number", "acquisition time", "convolution kernel")  # of `Slice.marks`
_MOST_RUNS = 4  # with more, instance numbers follow no order


def mixed_acquisitions(slices: Sequence[Slice]) -> str:
    """How the slices of two acquisitions alternate in a stack; empty if they do not.

    They differ in a field such as the acquisition number, or their instance numbers begin again.

    Args:
        slices: Sorted by height.
    """
    for index, name in enumerate(_MARKED):
        parts = _parts([one.marks[index] if index < len(one.marks) else "" for one in slices])
        if _alternate(list(parts.values())):
            counts = ", ".join(f"{mark}: {len(part)} slices" for mark, part in list(parts.items())[:4])
            return f"the slices of several acquisitions alternate ({name} {counts})"
    repeated, runs = _repeated([one.number for one in slices]), _runs([one.number for one in slices])
    for parts in (repeated, runs):
        if _alternate(parts):
            return f"the slices of {len(parts)} acquisitions alternate (their instance numbers begin again)"
    return ""


def _parts(values: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """Value -> the positions in the stack that have it."""
    parts: dict[Hashable, list[int]] = defaultdict(list)
    for place, value in enumerate(values):
        parts[value].append(place)
    return parts


def _repeated(numbers: Sequence[int]) -> list[list[int]]:
    """Parts of a stack in which every instance number occurs equally often: first occurrences, second ones, ..."""
    counts = Counter(numbers)
    often = set(counts.values())
    if len(often) != 1 or often <= {1} or len(counts) < 3:
        return []
    seen: Counter[int] = Counter()
    parts: dict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(numbers):
        parts[seen[number]].append(place)
        seen[number] += 1
    return list(parts.values())


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Parts of a stack in which places rise, or fall, with the instance number; none if there are many."""
    places = sorted(range(len(numbers)), key=lambda place: numbers[place])
    runs: list[list[int]] = [places[:1]]
    for place in places[1:]:
        run = runs[-1]
        if len(run) > 1 and (place > run[-1]) != (run[-1] > run[-2]):
            runs.append([place])
        else:
            run.append(place)
    return [sorted(run) for run in runs] if len(set(numbers)) == len(numbers) and 2 <= len(runs) <= _MOST_RUNS else []


def _alternate(parts: Sequence[Sequence[int]]) -> bool:
    """Whether two parts of at least three slices lie in each other, by a third of the shorter one or more."""
    large = [part for part in parts if len(part) >= 3]
    for index, one in enumerate(large):
        for other in large[index + 1 :]:
            short, long = sorted((one, other), key=len)
            if 3 * sum(long[0] < place < long[-1] for place in short) >= len(short):
                return True
    return False
