"""A few images of a part stand for all of its classes."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from lethe.evaluate._which_images import class_after_class, which_images


def test_the_first_of_mixed_images_and_even_ones_of_folders():
    mixed, sorted_ones = torch.tensor([0, 2, 1, 0, 1, 2]), torch.tensor([0, 0, 1, 1, 2, 2])
    assert which_images(mixed, 3) == [0, 1, 2]
    assert which_images(sorted_ones, 3) == [1, 3, 5]
    assert which_images(sorted_ones, 6) == list(range(6))
    grouped = torch.tensor([0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1, 1])  # a class of two folders
    assert which_images(grouped, 4) == [1, 4, 7, 10]


def test_one_class_and_no_image_have_no_order():
    assert not class_after_class(torch.zeros(9, dtype=torch.long))
    assert which_images(torch.zeros(0, dtype=torch.long), 0) == []


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=40).flatmap(
        lambda labels: st.tuples(st.just(labels), st.integers(1, len(labels)))
    )
)
def test_as_many_as_asked_for_and_none_twice(case):
    labels, count = case
    chosen = which_images(torch.tensor(sorted(labels)), count)
    assert len(set(chosen)) == count
    assert all(0 <= at < len(labels) for at in chosen)
