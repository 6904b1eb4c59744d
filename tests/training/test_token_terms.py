"""c_t and KL in chunks equal the whole computation, and so do their gradients."""

import pytest
import torch

from catts.training import token_terms as terms
from catts.training.token_terms import Reference, sequence_means, token_terms

TOKENS, WIDTH, VOCABULARY = 11, 6, 40


@pytest.fixture
def given() -> tuple[torch.Tensor, torch.Tensor, Reference]:
    torch.manual_seed(0)
    hidden = torch.randn(TOKENS, WIDTH, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(VOCABULARY, WIDTH, dtype=torch.float64, requires_grad=True)
    anchor = Reference(
        torch.randn(TOKENS, WIDTH, dtype=torch.float64),
        torch.randn(VOCABULARY, WIDTH, dtype=torch.float64),
    )
    return hidden, weight, anchor


def whole(hidden, weight, reference, k):
    log_p = (hidden @ weight.T).float().log_softmax(-1)
    log_q = (reference.hidden @ reference.weight.T).float().log_softmax(-1)
    return -log_p.topk(k, -1).values.mean(-1), (log_p.exp() * (log_p - log_q)).sum(-1)


@pytest.mark.parametrize("k", [1, 20, 40])
@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_change_nothing(given, monkeypatch, k, chunk):
    hidden, weight, reference = given
    monkeypatch.setattr(terms, "CHUNK", chunk)
    got = token_terms(hidden, weight, k=k, reference=reference)
    wanted = whole(hidden, weight, reference, k)
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
        mine = torch.autograd.grad(ours.sum(), (hidden, weight), retain_graph=True)
        other = torch.autograd.grad(theirs.sum(), (hidden, weight), retain_graph=True)
        for a, b in zip(mine, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("place", [0, 1])
def test_each_term_has_its_gradient_alone(given, place):
    hidden, weight, reference = given
    ours = token_terms(hidden, weight, reference=reference)[place]
    theirs = whole(hidden, weight, reference, 20)[place]
    mine, other = (torch.autograd.grad(t.square().sum(), (hidden, weight)) for t in (ours, theirs))
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("automatic", [True, False])
def test_16_bits_are_those_of_the_product_alone(given, monkeypatch, automatic):
    """Logits are rounded once; what is summed over vocabulary and chunks is not."""
    monkeypatch.setattr(terms, "CHUNK", 4)
    stored = torch.float32 if automatic else torch.bfloat16
    hidden, weight = (t.detach().to(stored).requires_grad_() for t in given[:2])
    reference = Reference(given[2].hidden.to(stored), given[2].weight.to(stored))
    with torch.autocast("cpu", torch.bfloat16, enabled=automatic):
        ours = token_terms(hidden, weight, reference=reference)
        theirs = whole(hidden, weight, reference, 20)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, other)
    got, wanted = (torch.autograd.grad(sum(t).sum(), (hidden, weight)) for t in (ours, theirs))
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == stored
        # autograd rounds the slopes of logits to 8 bits of mantissa as well, in another order
        torch.testing.assert_close(a, b, rtol=2**-6, atol=2**-6 * b.abs().max().item())


def test_a_small_vocabulary_counts_whole(given):
    hidden, weight, _ = given
    few = weight[:5]
    c, kl = token_terms(hidden, few, k=20)
    torch.testing.assert_close(c, -(hidden @ few.T).float().log_softmax(-1).mean(-1))
    assert kl is None


def test_a_model_has_no_divergence_from_itself(given):
    hidden, weight, _ = given
    itself = Reference(hidden.detach(), weight.detach())
    _, kl = token_terms(hidden, weight, reference=itself)
    torch.testing.assert_close(kl, torch.zeros(TOKENS), atol=1e-6, rtol=0)


def test_peaked_distributions_are_the_sure_ones():
    weight = torch.eye(30)
    flat, peaked = torch.zeros(1, 30), torch.zeros(1, 30)
    peaked[0, 3] = 12.0
    sure, unsure = (token_terms(h, weight)[0].item() for h in (peaked, flat))
    assert sure > unsure == pytest.approx(torch.tensor(30.0).log().item(), abs=1e-5)


def test_no_token_is_no_error():
    c, kl = token_terms(torch.zeros(0, 4), torch.zeros(9, 4))
    assert c.shape == (0,)
    assert kl is None


def test_means_are_over_a_rows_own_tokens():
    values = torch.tensor([[1.0, 3.0, 99.0], [5.0, 0.0, 0.0], [7.0, 7.0, 7.0]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert sequence_means(values, mask).tolist() == [2.0, 5.0, 0.0]
