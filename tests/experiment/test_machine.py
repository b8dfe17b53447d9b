"""What a training leaves behind: torch's random states and number of threads as they were."""

import pytest
import torch

from polytask.experiment.machine import own_state


def test_threads_and_the_random_state_are_put_back_even_after_an_error():
    threads, state = torch.get_num_threads(), torch.get_rng_state()

    def fail():
        with own_state(threads + 1):
            assert torch.get_num_threads() == threads + 1
            torch.manual_seed(5)
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_every_accelerator_is_put_back_wherever_training_runs(monkeypatch):
    states = [torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([3, 4], dtype=torch.uint8)]
    before = [state.clone() for state in states]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(states))
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [state.clone() for state in states])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.__setitem__(device, state))
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: [state.fill_(9) for state in states])
    with own_state(None):
        torch.manual_seed(5)
        assert all(bool((state == 9).all()) for state in states)
    assert all(torch.equal(state, was) for state, was in zip(states, before, strict=True))


@pytest.mark.gpu
def test_a_real_accelerator_is_put_back():
    module = torch.get_device_module(torch.accelerator.current_accelerator())
    before = module.get_rng_state()
    with own_state(None):
        torch.manual_seed(5)
    assert torch.equal(before, module.get_rng_state())
