"""The law of rows: however they are read, the loss and its gradient are those of plain logits, row by row."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from soft_prompts.trainer.batch import Batch, Row, Rows, Teaching, order
from soft_prompts.trainer.frozen import frozen
from soft_prompts.trainer.objectives import cross_entropy, divergence, guided, teach
from soft_prompts.trainer.reader import Reader
from soft_prompts.trainer.writing import write

# Rows of other lengths than their neighbours; of two, only a part counts.
LENGTHS = [(19, 0, 19), (7, 0, 7), (30, 11, 30), (12, 3, 9)]


def some_rows(vocabulary: int, first: bool = True, lengths: list[tuple[int, int, int]] = LENGTHS) -> Rows:
    generator = torch.Generator().manual_seed(1)
    return Rows(
        [
            Row(tuple(torch.randint(4, vocabulary, (length,), generator=generator).tolist()), (start, stop))
            for length, start, stop in lengths
        ],
        first,
    )


def plain_logits(reader: Reader, vectors: torch.Tensor | None, row: Row) -> torch.Tensor:
    """(counted, vocabulary) by the model itself, called as anyone would call it, on this row alone."""
    embedding, base = reader.embedding, reader.base
    head = embedding(torch.tensor([reader.head], dtype=torch.long))
    text = embedding(torch.tensor([row.ids]))
    parts = [head] if vectors is None else [head, vectors.to(head.dtype).unsqueeze(0)]
    before = sum(part.shape[1] for part in parts)
    logits = base(inputs_embeds=torch.cat([*parts, text], dim=1), use_cache=False).logits[0].float()
    return logits[before + row.counted[0] - 1 : before + row.counted[1] - 1]


def plain(reader: Reader, vectors: torch.Tensor | None, rows: Rows) -> torch.Tensor:
    losses = [
        F.cross_entropy(plain_logits(reader, vectors, row), torch.tensor(row.ids[slice(*row.counted)]), reduction="sum")
        for row in rows.rows
        if row.counted[0] < row.counted[1]
    ]
    return torch.stack(losses).sum()


def graded(loss: torch.Tensor, vectors: torch.Tensor) -> tuple[float, torch.Tensor]:
    (gradient,) = torch.autograd.grad(loss, [vectors])
    return float(loss.detach()), gradient


def close(one: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor], within: float = 1e-4) -> None:
    assert one[0] == pytest.approx(other[0], rel=within)
    assert (one[1] - other[1]).norm() <= within * other[1].norm()
    assert other[1].norm() > 0


def some_vectors(reader: Reader, tokens: int = 5) -> torch.Tensor:
    torch.manual_seed(3)
    base = reader.embed(list(range(4, 4 + tokens)))
    return (base + 0.3 * base.std() * torch.randn_like(base)).requires_grad_(True)


def check_law(model: Any, tokenizer: Any, within: float = 1e-4) -> Reader:
    reader = Reader(model, tokenizer)
    vocabulary = model.config.get_text_config().vocab_size
    vectors = some_vectors(reader)
    rows = some_rows(vocabulary)
    with frozen(reader.base):
        expected = graded(plain(reader, vectors, rows), vectors)
        close(graded(cross_entropy(reader, vectors, rows.all), vectors), expected, within)
        reader.part = 2 * vocabulary  # 16 places at a time
        close(graded(cross_entropy(reader, vectors, rows.all), vectors), expected, within)
        shared = reader.shared
        reader.shared = False
        close(graded(cross_entropy(reader, vectors, rows.all), vectors), expected, within)
        reader.shared = shared
        parts = [graded(cross_entropy(reader, vectors, part), vectors) for part in rows.all.split(3)]
        close((sum(each[0] for each in parts), sum(each[1] for each in parts)), expected, within)  # type: ignore[arg-type]
        with torch.no_grad():
            assert float(cross_entropy(reader, vectors, rows.all)) == pytest.approx(expected[0], rel=within)
            bare = float(cross_entropy(reader, None, rows.all))
            assert bare == pytest.approx(float(plain(reader, None, rows)), rel=within)
        check_writing(reader, vectors.detach())
    return reader


def check_writing(reader: Reader, vectors: torch.Tensor) -> None:
    """Where what stands before the rows is read once for all of them, they go on as in the model's own `generate`."""
    for before, starts in ((vectors, [[], [], []]), (vectors, [[5, 6, 7], [7, 8, 9]]), (None, [[5], [9]])):
        for heat in (0.0, 1.0):
            mine = write(reader, before, starts, 9, 3, heat)
            with pytest.MonkeyPatch.context() as undo:
                undo.setattr(reader, "begin", lambda *given: None)
                assert mine == write(reader, before, starts, 9, 3, heat) and len(mine) == len(starts)
    assert (reader.begin(vectors, torch.tensor([[5]])) is not None) is reader.shared


NOT_SHARED = {"mamba"}


def test_every_family(family_model: Any, tokenizer: Any) -> None:
    reader = check_law(family_model, tokenizer)
    kind = family_model.config.model_type
    assert reader.shared is (kind not in NOT_SHARED)
    assert reader._trunk is not None


def test_without_a_head(make: Callable[..., Any], tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    for family in ("llama", "gpt2"):
        reader = Reader(make(family), tokenizer)
        assert reader.head == []
        vectors, rows = some_vectors(reader), some_rows(400, first=False)
        assert rows.rows[0].counted == (1, 19)
        with frozen(reader.base):
            expected = graded(plain(reader, vectors, rows), vectors)
            close(graded(cross_entropy(reader, vectors, rows.all), vectors), expected)
            with torch.no_grad():
                bare = float(cross_entropy(reader, None, rows.all))
                assert bare == pytest.approx(float(plain(reader, None, rows)), rel=1e-4)


MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "a cap that every logit meets": ("gemma2", {"final_logit_softcapping": 0.5}),
    "a cap that few logits meet": ("gemma2", {"final_logit_softcapping": 30.0}),
    "windows shorter than a row": ("gemma2", {"sliding_window": 6}),
    "windows shorter than the prompt": ("gemma3", {"sliding_window": 3}),
    "local attention shorter than a row": ("gpt_neo", {"window_size": 6}),
    "tied heads": ("llama", {"tie_word_embeddings": True}),
    "one expert of two": ("mixtral", {"num_local_experts": 2, "num_experts_per_tok": 1}),
    "attention in its own words": ("llama", {"attn_implementation": "eager"}),
    "alibi": ("falcon", {"alibi": True}),
    "a width that is not projected": ("opt", {"word_embed_proj_dim": 32}),
}
OTHERS = {
    "cohere": ("CohereConfig", {"logit_scale": 0.25}),
    "granite": ("GraniteConfig", {"logits_scaling": 3.0, "embedding_multiplier": 2.0, "residual_multiplier": 0.5}),
    "mistral": ("MistralConfig", {"sliding_window": 6}),
    "qwen2_moe": ("Qwen2MoeConfig", {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}),
    "olmo2": ("Olmo2Config", {}),
}


@pytest.mark.parametrize("case", MORE)
def test_what_architectures_add(case: str, make: Callable[..., Any], tokenizer: Any) -> None:
    family, changes = MORE[case]
    changes = dict(changes)
    attention = changes.pop("attn_implementation", None)
    model = make(family, **changes)
    if attention:
        model.set_attn_implementation(attention)
    check_law(model, tokenizer)


@pytest.mark.parametrize("case", OTHERS)
def test_more_architectures(case: str, tokenizer: Any) -> None:
    import transformers

    name, changes = OTHERS[case]
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = getattr(transformers, name)(
        vocab_size=400, intermediate_size=64, max_position_embeddings=256, pad_token_id=3, **sizes, **changes
    )
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(3)
    assert check_law(model, tokenizer)._trunk is not None


def test_a_cap_is_seen_in_half_precision(make: Callable[..., Any], tokenizer: Any) -> None:
    """At logits of ten a cap of thirty bends them by less than half precision is wrong."""
    model = make("gemma2", final_logit_softcapping=30.0).to(torch.bfloat16)
    reader = Reader(model, tokenizer)
    vectors, rows = some_vectors(reader), some_rows(400)
    with torch.no_grad():
        cross_entropy(reader, vectors, rows.all)
        assert reader._trunk is not None
        features = torch.randn(3, 32, dtype=torch.bfloat16) * 1e4
        assert reader.logits(features).abs().max() <= 30


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_half_precision(family: str, dtype: torch.dtype, make: Callable[..., Any], tokenizer: Any) -> None:
    """Within what a half precision can tell: the same model in float32, its weights rounded, is the measure."""
    model = make(family).to(dtype)
    reader = check_half(model, tokenizer)
    assert reader._trunk is not None


def check_half(model: Any, tokenizer: Any) -> Reader:
    import copy

    reader, exact = Reader(model, tokenizer), Reader(copy.deepcopy(model).float(), tokenizer)
    vectors, rows = some_vectors(exact), some_rows(400)
    with frozen(reader.base), frozen(exact.base):
        found = graded(cross_entropy(reader, vectors, rows.all), vectors)
        expected = graded(plain(exact, vectors, rows), vectors)
    assert found[1].dtype == torch.float32
    assert found[0] == pytest.approx(expected[0], rel=0.02)
    assert F.cosine_similarity(found[1].flatten(), expected[1].flatten(), dim=0) > 0.97
    return reader


@pytest.mark.parametrize("family", ["llama", "gemma2", "mamba"])
def test_divergence_is_that_of_torch(family: str, make: Callable[..., Any], tokenizer: Any) -> None:
    reader = Reader(make(family), tokenizer)
    vectors, rows = some_vectors(reader), some_rows(400)
    other = reader.embed([50, 60, 70])
    with frozen(reader.base):
        teach(reader, other, rows, 3)
        terms = []
        for row in rows.rows:
            with torch.no_grad():
                wanted = torch.log_softmax(plain_logits(reader, other, row), -1)
            logs = torch.log_softmax(plain_logits(reader, vectors, row), -1)
            terms.append(F.kl_div(logs, wanted, reduction="sum", log_target=True))
        expected = graded(torch.stack(terms).sum(), vectors)
        close(graded(divergence(reader, vectors, rows.all), vectors), expected, 2e-3)
        parts = [graded(divergence(reader, vectors, part), vectors) for part in rows.all.split(1)]
        close((sum(each[0] for each in parts), sum(each[1] for each in parts)), expected, 2e-3)  # type: ignore[arg-type]
        shares = [rows.all.share(rank, 3) for rank in range(3)]
        assert sum(float(divergence(reader, vectors, each).detach()) for each in shares) == pytest.approx(
            expected[0], rel=2e-3
        )


def test_the_likeliest_tokens_bound_the_divergence(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from soft_prompts.trainer import objectives

    reader = Reader(model, tokenizer)
    vectors, other = some_vectors(reader), reader.embed([50, 60, 70])
    found = {}
    with torch.no_grad():
        for kept in (None, 400, 100, 20, 3):
            rows = some_rows(400)
            if kept is not None:
                monkeypatch.setattr(objectives, "room_of", lambda reader: 0)
                monkeypatch.setattr(objectives, "LIKELIEST", kept)
            teach(reader, other, rows, 2)
            teaching = rows.all.teaching
            assert teaching is not None and (teaching.tokens is None) == (kept is None)
            found[kept] = float(divergence(reader, vectors, rows.all))
    assert found[400] == pytest.approx(found[None], rel=1e-3)
    assert found[None] * 1.001 > found[100] > found[20] > found[3] > 0


def test_a_teacher_agrees_with_itself(model: Any, tokenizer: Any) -> None:
    reader = Reader(model, tokenizer)
    other, rows = reader.embed([50, 60, 70]), some_rows(400)
    with torch.no_grad():
        teach(reader, other, rows, 4)
        assert float(divergence(reader, other, rows.all)) == pytest.approx(0, abs=1e-3 * rows.all.count)


def half_way(reader: Reader, vectors: torch.Tensor, row: Row) -> torch.Tensor:
    """(counted, width) behind half of the layers, where the counted tokens are predicted, as the model itself says."""
    head = reader.embedding(torch.tensor([reader.head], dtype=torch.long))
    given = torch.cat([head, vectors.unsqueeze(0), reader.embedding(torch.tensor([row.ids]))], dim=1)
    states = reader.base(inputs_embeds=given, use_cache=False, output_hidden_states=True).hidden_states
    before = head.shape[1] + len(vectors) - 1
    # Of two layers, the first; Mamba says nothing of its embeddings.
    found: torch.Tensor = states[reader.base.config.model_type != "mamba"][
        0, before + row.counted[0] : before + row.counted[1]
    ]
    return found


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2", "mamba"])
def test_guided_is_the_divergence_with_a_gradient_from_half_way(
    family: str, make: Callable[..., Any], tokenizer: Any
) -> None:
    reader = Reader(make(family), tokenizer)
    vectors, rows, other = some_vectors(reader), some_rows(400), reader.embed([50, 60, 70])
    with frozen(reader.base):
        teach(reader, other, rows, 3, inside=True)
        apart = []
        for row in rows.rows:
            mine, wanted = half_way(reader, vectors, row), half_way(reader, other, row)
            apart.append(((mine - wanted).norm(dim=-1) / wanted.norm(dim=-1)).square().sum())
        divergence_alone = graded(divergence(reader, vectors, rows.all), vectors)
        more = graded(torch.stack(apart).sum(), vectors)
        assert more[1].norm() > 1e-3 * divergence_alone[1].norm()
        expected = divergence_alone[0], divergence_alone[1] + 2.5 * more[1]
        objective = guided(2.5)
        close(graded(objective(reader, vectors, rows.all), vectors), expected, 1e-3)
        parts = [graded(objective(reader, vectors, part), vectors) for part in rows.all.split(1)]
        close((sum(each[0] for each in parts), sum(each[1] for each in parts)), expected, 1e-3)  # type: ignore[arg-type]
        with torch.no_grad():
            assert float(objective(reader, vectors, rows.all)) == pytest.approx(expected[0], rel=1e-3)
    with frozen(reader.base, recompute=True):
        reader.recomputed = True
        close(graded(objective(reader, vectors, rows.all), vectors), expected, 1e-3)


def test_without_room_or_a_view_of_the_middle_guided_is_the_divergence(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soft_prompts.trainer import objectives

    def taught(reader: Reader) -> Any:
        rows, vectors = some_rows(400), some_vectors(reader)
        with frozen(reader.base):
            teach(reader, reader.embed([50, 60, 70]), rows, 2, inside=True)
            alone, other = (graded(each(reader, vectors, rows.all), vectors) for each in (divergence, guided(9.0)))
        assert rows.all.teaching is not None and rows.all.teaching.middle is None
        assert alone[0] == other[0] and torch.equal(alone[1], other[1])
        return rows.all.teaching

    both = 2 * sum(stop - start for _, start, stop in LENGTHS) * model.config.hidden_size * 2
    for room, some in ((both - 1, False), (both // 2, False), (both // 2 - 1, True)):
        monkeypatch.setattr(objectives, "room_of", lambda reader, room=room: room)
        assert (taught(Reader(model, tokenizer)).tokens is not None) is some
    monkeypatch.setattr(objectives, "room_of", lambda reader: both)
    model.base_model.layers[1] = model.base_model.layers[0]  # a model that goes twice through its first half
    assert taught(Reader(model, tokenizer)).tokens is None


def test_large_vocabularies(make: Callable[..., Any], tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No id is ever cast to a type that is smaller than the vocabulary."""
    from soft_prompts.trainer import objectives

    model = make("llama", vocabulary=70_000)
    reader = Reader(model, tokenizer)
    vectors = some_vectors(reader)
    ids = (69_999, 65_536, 5, 66_000, 32_768, 69_998)
    rows = Rows([Row.whole(ids), Row.whole(ids[::-1])])
    assert rows.all.wanted.tolist() == [*ids, *ids[::-1]]
    with frozen(reader.base):
        close(graded(cross_entropy(reader, vectors, rows.all), vectors), graded(plain(reader, vectors, rows), vectors))
    monkeypatch.setattr(objectives, "room_of", lambda reader: 0)
    with torch.no_grad():
        # Their logits are those of the largest ids, so that these are the likeliest.
        model.lm_head.weight[69_000:] *= 30
        teach(reader, None, rows, 2)
    teaching = rows.all.teaching
    assert teaching is not None and teaching.tokens is not None
    assert int(teaching.tokens.max()) > 65_536
    assert int(teaching.tokens.min()) >= 0
    assert torch.isfinite(divergence(reader, vectors.detach(), rows.all))


def test_parts_hold_every_row_and_place_once() -> None:
    rows = some_rows(400)
    counts = [row.counted[1] - row.counted[0] for row in rows.rows]
    rows.teach([Teaching(torch.full((count, 2), float(number))) for number, count in enumerate(counts)])
    whole = rows.all
    assert whole.count == 19 + 7 + 19 + 6
    for size in range(1, 6):
        parts = list(whole.split(size))
        assert torch.equal(torch.cat([part.wanted for part in parts]), whole.wanted)
        assert sum(map(len, parts)) == 4
        for part in parts:
            assert part.ids.shape[1] == max(stop for length, _, stop in LENGTHS if part.counted.shape[1] >= stop)
            assert part.teaching is not None and len(part.teaching.values) == part.count
        assert whole.teaching is not None
        assert torch.equal(torch.cat([part.teaching.values for part in parts if part.teaching]), whole.teaching.values)
    for processes in range(1, 7):
        shares = [whole.share(rank, processes) for rank in range(processes)]
        assert sum(map(len, shares)) == 4
        assert sum(share.count for share in shares) == whole.count
        assert [len(list(share.split(2))) for share in shares][4:] == [0] * (processes - 4 if processes > 4 else 0)
        for rank, share in enumerate(shares):
            assert share.teaching is not None
            told = [float(n) for n in range(rank, 4, processes) for _ in range(*LENGTHS[n][1:])]
            assert share.teaching.values[:, 0].tolist() == told


def test_rows_in_which_nothing_counts_are_left_out() -> None:
    batch = Batch(torch.arange(12).view(4, 3), torch.tensor([[0, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]]).bool())
    assert [part.ids.tolist() for part in batch.split(1)] == [[[6, 7]]]
    assert [len(part) for part in batch.split(2)] == [2]


@pytest.mark.parametrize(("rows", "batch"), [(1, 1), (5, 2), (7, 7), (3, 8), (10, 4)])
def test_the_order_has_each_row_once_a_round(rows: int, batch: int) -> None:
    steps = [order(rows, batch, 3, number) for number in range(1, 3 * rows + 1)]
    assert all(len(step) == batch for step in steps)
    told = list(itertools.chain(*steps))
    for start in range(0, len(told) - rows + 1, rows):
        assert sorted(told[start : start + rows]) == list(range(rows))
    assert steps == [order(rows, batch, 3, number) for number in range(1, 3 * rows + 1)]
    if rows > 4:
        assert told[:rows] != told[rows : 2 * rows]
        assert steps != [order(rows, batch, 4, number) for number in range(1, 3 * rows + 1)]
