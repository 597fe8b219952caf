"""A soft prompt in the Trainer of Transformers: our own loop's numbers, small checkpoints, and nothing left behind."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.errors import TrainingError
from soft_prompts.trainer import Corpus, Finetune, Training, from_prompt, from_text, objectives
from soft_prompts.trainer.batch import order
from soft_prompts.trainer.evaluate import mean
from soft_prompts.trainer.hf import SoftPromptModel, collate

DRIVER = Path(__file__).with_name("hf_driver.py")
STEPS, TOKENS, BATCH = 8, 4, 4
CHECKPOINTING = next(
    each for each in ("activation_checkpointing", "gradient_checkpointing") if hasattr(TrainingArguments, each)
)
"""By the name of this release."""
START = from_text(" A tower by the sea")


def arguments(folder: Path, **more: Any) -> TrainingArguments:
    settings = {
        "max_steps": STEPS, "per_device_train_batch_size": BATCH, "train_sampling_strategy": "sequential",
        "logging_steps": 1, "save_strategy": "no", "use_cpu": True, "dataloader_pin_memory": False,
        "disable_tqdm": True, "report_to": [],
    }  # fmt: skip
    return TrainingArguments(str(folder), **{**settings, **more})


def rows(tokenizer: Any, story: str, length: int = 40, count: int = STEPS * BATCH) -> list[dict[str, list[int]]]:
    """Pieces of a story, some shorter than others."""
    ids = tokenizer(story * 6, add_special_tokens=False)["input_ids"]
    pieces = [ids[each * 13 : each * 13 + length - each % 5] for each in range(count)]
    return [{"input_ids": [tokenizer.bos_token_id, *piece]} for piece in pieces]


def trained(model: Any, data: Any, folder: Path, resume: Any = None, options: dict[str, Any] | None = None) -> Trainer:
    """After the steps; options: of the Trainer and, with those of TrainingArguments, under "arguments"."""
    options = {"optimizers": model.optimizers(STEPS), "data_collator": collate, **(options or {})}
    chosen = arguments(folder, **options.pop("arguments", {}))
    trainer = Trainer(model=model, args=chosen, train_dataset=data, **options)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses(trainer: Trainer) -> list[float]:
    return [each["loss"] for each in trainer.state.log_history if "loss" in each]


# ---- the same numbers as elsewhere


def test_a_run_is_that_of_our_own_loop(storyteller: tuple[Any, Any], story: str, tmp_path: Path) -> None:
    model, tokenizer = storyteller
    settings: dict[str, Any] = {"tokens": TOKENS, "steps": STEPS, "batch": BATCH, "block": 64, "validate": 4}
    ours = Training(model, tokenizer, Finetune(Corpus(story * 12)), start=START, **settings)
    wanted = [step.loss for step in ours]
    learnt: Any = ours.lesson
    taken = [each for step in range(1, STEPS + 1) for each in order(len(learnt._train), BATCH, 0, step)]
    data = [{"input_ids": [*ours.reader.head, *learnt._train.rows[each].ids]} for each in taken]
    with SoftPromptModel(model, tokenizer, TOKENS, start=START, text=story * 12) as theirs:
        theirs.scale = ours._scale  # ours is measured on the training part alone
        found = losses(trained(theirs, data, tmp_path))
        assert found == pytest.approx(wanted, abs=1e-4)
        assert wanted[-1] < wanted[0] - 0.3, "it learns, too"
        vectors = theirs.get_soft_params().detach().cpu()
    assert float((vectors - ours.state.vectors).norm() / vectors.norm()) < 1e-4


def test_what_it_is_not_for_is_said(model: Any, tokenizer: Any) -> None:
    with SoftPromptModel(model, tokenizer, TOKENS) as theirs:
        with pytest.raises(TrainingError, match="is for training: model.write"):
            theirs.generate()
        assert repr(theirs).startswith(f"SoftPromptModel({TOKENS} tokens")


def test_the_evaluation_is_ours(make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    data = rows(tokenizer, story, 24, 8)
    with SoftPromptModel(make("llama"), tokenizer, TOKENS) as model:
        trainer = Trainer(model=model, args=arguments(tmp_path), eval_dataset=data, data_collator=collate)
        batch = model._placed(*(collate(data)[name] for name in ("input_ids", "attention_mask")), {})
        counted = batch.counted(collate(data)["labels"])[0]
        wanted = mean(model.reader, model.vectors.detach(), objectives.cross_entropy, counted, 8)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(wanted, abs=1e-5)
        made = trainer.predict(data)
        assert made.predictions.shape[:2] == made.label_ids.shape == (8, 25)


def test_real_words_as_a_prompt_are_those_words(family_model: Any, tokenizer: Any, story: str) -> None:
    """On every family, also those that scale or project their embeddings."""
    words, text = (tokenizer(each, add_special_tokens=False)["input_ids"][:9] for each in (story, story[300:]))
    head = [tokenizer.bos_token_id]
    noir = SoftPrompt.from_text(tokenizer.decode(words), family_model, tokenizer, name="noir")
    whole = torch.tensor([[*head, *words, *text]])
    with torch.no_grad():
        wanted = family_model(input_ids=whole).logits[:, len(words) :]
    with SoftPromptModel(family_model, tokenizer, len(noir), start=from_prompt(noir)) as model, torch.no_grad():
        assert len(noir) == len(words)
        found = model.eval()(input_ids=torch.tensor([[*head, *text]])).logits
    assert float((found - wanted).norm() / wanted.norm()) < 1e-3


def test_every_family_learns_and_computes_it_again(family_model: Any, tokenizer: Any, story: str) -> None:
    """The gradient is that of the logits' loss, also where what is inside the layers is computed twice."""
    batch = collate(rows(tokenizer, story, 18, 3))
    with SoftPromptModel(family_model, tokenizer, TOKENS, start=START) as model:
        logits = model.eval()(batch["input_ids"], batch["attention_mask"]).logits
        wanted = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten()
        )
        (gradient,) = torch.autograd.grad(wanted, [model.vectors])
        for again in (False, True):
            if again:
                model.gradient_checkpointing_enable()
            loss = model.train()(**batch).loss
            (found,) = torch.autograd.grad(loss, [model.vectors])
            assert float(loss.detach()) == pytest.approx(float(wanted.detach()), abs=1e-4)
            assert float((found - gradient).norm() / gradient.norm()) < 1e-3, again


def test_padding_and_heads_change_nothing(make: Callable[..., Any], tokenizer: Any, story: str) -> None:
    given = [each["input_ids"] for each in rows(tokenizer, story, 20, 3)]
    given[1] = given[1][1:]  # without the head, as the later pieces of a text are
    given[2] = given[2][:7]
    with SoftPromptModel(make("llama"), tokenizer, TOKENS) as model, torch.no_grad():
        model.eval()
        alone = [model(torch.tensor([ids]), labels=torch.tensor([ids])) for ids in given]
        together, length = {}, max(map(len, given)) + 2
        for side in ("left", "right"):
            gap = [length - len(ids) for ids in given]
            ids, mask, labels = (
                torch.tensor(
                    [g * [pad] + r if side == "left" else r + g * [pad] for r, g in zip(kept, gap, strict=True)]
                )
                for kept, pad in ((given, 3), ([[1] * len(each) for each in given], 0), (given, -100))
            )
            together[side] = model(ids, attention_mask=mask, labels=labels)
            for row, (each, g) in enumerate(zip(alone, gap, strict=True)):
                found = together[side].logits[row, g:] if side == "left" else together[side].logits[row, : length - g]
                assert torch.allclose(found, each.logits[0], atol=1e-4)
        counted = torch.tensor([len(ids) - 1 for ids in given])
        wanted = sum(each.loss * count for each, count in zip(alone, counted, strict=True)) / counted.sum()
        assert all(float(each.loss) == pytest.approx(float(wanted), abs=1e-5) for each in together.values())


def _filled(row: list[int], gap: int, value: int, side: str) -> list[int]:
    return gap * [value] + row if side == "left" else row + gap * [value]


@pytest.mark.parametrize("head", ["with a head", "without"])
def test_the_loss_is_that_of_the_logits(head: str, make: Callable[..., Any], tokenizer: Any, story: str) -> None:
    """As Transformers shifts them, where labels are other than the ids, too."""
    if head == "without":
        tokenizer.backend_tokenizer.post_processor = type(tokenizer.backend_tokenizer.post_processor)(single="$A")
    ids = torch.tensor([each["input_ids"][1:22] for each in rows(tokenizer, story, 30, 3)])
    labels = ids.flip(1).clone()
    labels[:, 5:9] = -100
    with SoftPromptModel(make("gemma2"), tokenizer, TOKENS) as model, torch.no_grad():
        made = model.eval()(input_ids=ids, labels=labels)
        shifted = torch.nn.functional.cross_entropy(made.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        assert float(made.loss) == pytest.approx(float(shifted), abs=1e-5)
        assert made.logits.shape == (3, 21, 400)
        assert model.train()(input_ids=ids, labels=labels).logits is None


# ---- what Trainer offers


def test_gradient_checkpointing_changes_nothing(
    make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path
) -> None:
    base, data, found = make("llama"), rows(tokenizer, story), []
    for again in (False, True):
        with SoftPromptModel(base, tokenizer, TOKENS, start=START) as model:
            found.append(losses(trained(model, data, tmp_path, options={"arguments": {CHECKPOINTING: again}})))
            assert model.is_gradient_checkpointing is again and model.reader.recomputed is again
            assert not torch.equal(model.vectors.detach(), model.origin)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_batches_in_parts_are_the_whole_ones(
    make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path
) -> None:
    base, data, found = make("llama"), rows(tokenizer, story), []
    for parts in (1, 2):
        chosen = {"per_device_train_batch_size": BATCH // parts, "gradient_accumulation_steps": parts}
        with SoftPromptModel(base, tokenizer, TOKENS, start=START) as model:
            found.append(losses(trained(model, data, tmp_path, options={"arguments": chosen})))
    assert found[0] == pytest.approx(found[1], abs=1e-5)


@pytest.mark.parametrize("kind", ["bf16 arithmetic", "a bf16 model"])
def test_half_precision(kind: str, make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    base, data = make("llama"), rows(tokenizer, story)
    with SoftPromptModel(base, tokenizer, TOKENS, start=START) as model:
        wanted = losses(trained(model, data, tmp_path))
    if kind == "a bf16 model":
        base = base.to(torch.bfloat16)
    chosen = {"bf16": kind == "bf16 arithmetic", "bf16_full_eval": kind == "a bf16 model"}
    with SoftPromptModel(base, tokenizer, TOKENS, start=START) as model:
        trainer = trained(model, data, tmp_path, options={"arguments": chosen, "eval_dataset": data[:4]})
        assert losses(trainer) == pytest.approx(wanted, abs=0.1)
        assert np.isfinite(trainer.evaluate()["eval_loss"])
        assert model.get_soft_params().dtype == torch.float32


def test_smoothed_labels_are_shifted(make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    data, found = rows(tokenizer, story), []
    for factor in (0.0, 1e-7):
        with SoftPromptModel(make("llama"), tokenizer, TOKENS, start=START) as model:
            chosen = {"arguments": {"label_smoothing_factor": factor}}
            found.append(losses(trained(model, data, tmp_path, options=chosen)))
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_a_script_as_people_have_it(make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    """Transformers' own collator, optimizer and schedule, and a metric of one's own."""
    texts = [story[start : start + 60 + start % 7] for start in range(0, 320, 10)]
    data = [tokenizer(each) for each in texts]
    seen = {}

    def accuracy(made: Any) -> dict[str, float]:
        logits, labels = made.predictions[:, :-1], made.label_ids[:, 1:]
        seen["shapes"] = logits.shape[:2], labels.shape
        return {"accuracy": float((logits.argmax(-1) == labels)[labels != -100].mean())}

    with SoftPromptModel(make("llama"), tokenizer, TOKENS, text=story) as model:
        chosen = arguments(
            tmp_path, learning_rate=model.rate(), lr_scheduler_type="cosine", warmup_steps=2, max_steps=20
        )
        collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)
        data_ = {"train_dataset": data, "eval_dataset": data[:8]}
        trainer = Trainer(model=model, args=chosen, data_collator=collator, compute_metrics=accuracy, **data_)
        before = trainer.evaluate()
        trainer.train()
        after = trainer.evaluate()
    assert after["eval_loss"] < before["eval_loss"] - 0.02
    assert after["eval_accuracy"] >= before["eval_accuracy"]
    assert seen["shapes"][0] == seen["shapes"][1]


def test_a_model_that_is_spread_is_left_where_it_is(
    make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path
) -> None:
    from accelerate import dispatch_model

    data = rows(tokenizer, story)
    with SoftPromptModel(make("llama"), tokenizer, TOKENS, start=START) as model:
        wanted = losses(trained(model, data, tmp_path / "one"))
    places = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.norm": "cpu"}
    spread = dispatch_model(
        make("llama"), {**places, "model.rotary_emb": "cpu", "lm_head": "cpu"}, main_device="cpu",
        offload_dir=str(tmp_path / "offload"), force_hooks=True,
    )  # fmt: skip
    with SoftPromptModel(spread, tokenizer, TOKENS, start=START) as model:
        assert losses(trained(model, data, tmp_path / "two")) == pytest.approx(wanted, abs=1e-5)
    assert next(spread.model.layers[1].parameters()).device.type == "meta"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # which PEFT asks the base
def test_inside_peft(make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    """A LoRA belongs to the model that is frozen."""
    peft = pytest.importorskip("peft")
    chosen = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False)
    model = peft.get_peft_model(make("llama"), chosen)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    wanted = {name for name, weight in model.named_parameters() if weight.requires_grad}
    with SoftPromptModel(model, tokenizer, TOKENS, start=START) as prompted:
        trained(prompted, rows(tokenizer, story), tmp_path)
        assert not torch.equal(prompted.vectors.detach(), prompted.origin)
    assert all(torch.equal(before[name], weight) for name, weight in model.named_parameters())
    assert wanted == {name for name, weight in model.named_parameters() if weight.requires_grad}


# ---- what is kept


def test_a_checkpoint_is_the_soft_prompt(storyteller: tuple[Any, Any], story: str, tmp_path: Path) -> None:
    model, tokenizer = storyteller
    with SoftPromptModel(model, tokenizer, 20, text=story) as prompted:
        chosen = {"arguments": {"save_strategy": "steps", "save_steps": STEPS // 2}}
        trainer = trained(prompted, rows(tokenizer, story), tmp_path / "run", options=chosen)
        trainer.save_model(str(tmp_path / "library"))
        now = prompted.prompt("noir")
    folders = sorted((tmp_path / "run").glob("checkpoint-*"))
    assert [each.name for each in folders] == ["checkpoint-4", "checkpoint-8"]
    for folder in folders:
        assert sum(each.stat().st_size for each in folder.iterdir()) < 1_000_000 / 2
        assert "tokenizer.json" not in {each.name for each in folder.iterdir()}
    kept = soft_prompts.load(folders[-1] / "model.safetensors")
    assert kept == now and kept.metadata["base_model"] == "storyteller" and len(kept) == 20
    for used in (model, prompted):  # or the one that was trained, in which the model is
        with soft_prompts.attach(used, tokenizer, tmp_path / "library") as attached:
            assert len(tokenizer("<<sp:model>>It was late", return_tensors="pt")["input_ids"][0]) > 20
            assert attached.fit(kept).verdict == "fits"


def test_a_run_goes_on_with_the_same_numbers(
    make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path
) -> None:
    data, ends = rows(tokenizer, story), []
    saving = {"arguments": {"save_strategy": "steps", "save_steps": STEPS // 2, "train_sampling_strategy": "random"}}
    for resume in (None, str(tmp_path / "checkpoint-4")):
        with SoftPromptModel(make("llama"), tokenizer, TOKENS, text=story) as model:
            trainer = trained(model, data, tmp_path, resume, saving)
            ends.append((losses(trainer), model.get_soft_params().detach().clone(), model.origin))
    assert ends[0][0] == ends[1][0] and torch.equal(ends[0][1], ends[1][1]) and torch.equal(ends[0][2], ends[1][2])


def test_the_best_one_is_loaded_at_the_end(
    make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path
) -> None:
    data = rows(tokenizer, story)
    looks = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 2, "eval_steps": 2}
    with SoftPromptModel(make("llama"), tokenizer, TOKENS, start=START) as model:
        wild = (
            torch.optim.SGD([model.vectors], lr=5.0, maximize=True),
            None,
        )  # uphill, so that the last one is not the best
        chosen = {"arguments": {**looks, "load_best_model_at_end": True}, "optimizers": wild, "eval_dataset": data[:4]}
        trainer = trained(model, data, tmp_path, options=chosen)
        seen = [each["eval_loss"] for each in trainer.state.log_history if "eval_loss" in each]
        assert min(seen) < seen[-1]
        assert trainer.evaluate()["eval_loss"] == pytest.approx(min(seen), abs=1e-5)
        best = Path(str(trainer.state.best_model_checkpoint)) / "model.safetensors"
        assert model.prompt("x") == soft_prompts.load(best)


# ---- what is left behind


def test_one_parameter_is_trained_and_nothing_else_is_touched(
    make: Callable[..., Any],
    tokenizer: Any,
    story: str,
    tmp_path: Path,
    everything: Callable[[torch.nn.Module], dict[str, Any]],
) -> None:
    base = make("gpt2").train()  # with dropout
    next(base.parameters()).requires_grad_(False)
    before = everything(base)
    with SoftPromptModel(base, tokenizer, TOKENS, start=START) as model:
        wanted = [name for name, each in model.named_parameters() if each.requires_grad]
        assert wanted == ["vectors"] and model.get_soft_params().shape == (TOKENS, 32)
        assert set(model.state_dict()) == {"vectors", "origin"}
        trained(model, rows(tokenizer, story), tmp_path, options={"arguments": {CHECKPOINTING: True}})
        assert not any(each.training for each in model.base.modules())
        assert "keeper" not in model.write("The old", 4) and model.write("The", 5) == model.write("The", 5)
    after = everything(base)
    for what in before:
        assert what == "random" or after[what] == before[what], what
    model.close()


def test_one_that_is_forgotten_leaves_the_next_alone(make: Callable[..., Any], tokenizer: Any) -> None:
    """A cell of a notebook that is run twice: the first one ends when the second one is there already."""
    base = make("llama")
    model = SoftPromptModel(base, tokenizer, TOKENS)
    model = SoftPromptModel(base, tokenizer, TOKENS)
    gc.collect()
    assert [name for name, each in model.named_parameters() if each.requires_grad] == ["vectors"]


# ---- what is refused


def refused(words: str, act: Callable[[], Any]) -> None:
    with pytest.raises(TrainingError, match=words):
        act()


def test_errors_say_what_to_do(make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    base = make("llama")
    refused("tokens=0: it must be a whole number", lambda: SoftPromptModel(base, tokenizer, 0))
    with SoftPromptModel(base, tokenizer, TOKENS) as model:
        ids = torch.tensor([[1, 5, 6, 7, 8]])
        restart = torch.tensor([[0, 1, 2, 0, 1]])
        refused("switch packing and", lambda: model(ids, position_ids=restart))
        refused("switch packing and", lambda: model(ids, cu_seq_lens_q=torch.tensor([0, 3, 5])))
        refused("hole in a row", lambda: model(ids, attention_mask=torch.tensor([[1, 0, 1, 1, 1]])))
        refused("switch packing off", lambda: model(ids, attention_mask=torch.ones(1, 1, 5, 5)))
        refused("do not fit into the model's 256", lambda: model(torch.ones(1, 256, dtype=torch.long)))
        refused("vectors are missing", lambda: model.load_state_dict({}))
        other = {"vectors": torch.zeros(9, 32), "origin": torch.zeros(9, 32)}
        refused(r"vectors are \(9, 32\), and this prompt is \(4, 32\)", lambda: model.load_state_dict(other))
        refused("accelerate launch", model._replicate_for_data_parallel)
        refused("save first", lambda: model.save_pretrained(tmp_path, push_to_hub=True))
        assert model(ids, position_ids=torch.arange(5).unsqueeze(0), use_cache=False).logits.shape == (1, 5, 400)
    refused("start=from_prompt", lambda: SoftPromptModel.from_pretrained(tmp_path))
    refused("3 input_ids and 2 labels", lambda: collate([{"input_ids": [1, 2, 3], "labels": [1, 2]}]))


def test_rows_in_which_nothing_counts(make: Callable[..., Any], tokenizer: Any) -> None:
    with SoftPromptModel(make("llama"), tokenizer, TOKENS) as model:
        ids = torch.tensor([[1, 5, 6]])
        loss = model(ids, labels=torch.full_like(ids, -100)).loss
        loss.backward()
        assert float(loss.detach()) == 0 and float(model.vectors.grad.abs().sum()) == 0


# ---- several processes


def together(processes: int, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """What each process of torchrun found; of one, without it."""
    Path(asked["folder"]).mkdir(parents=True, exist_ok=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(DRIVER), json.dumps(asked)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [json.loads(each.read_text()) for each in sorted(Path(asked["folder"]).glob("rank-*.json"))]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo is Unix's")
def test_two_processes_are_one(tmp_path: Path) -> None:
    """Also where one of them has a batch in which nothing counts, and where they go on."""
    (alone,) = together(1, {"folder": str(tmp_path / "one"), "batch": 4})
    asked = {"folder": str(tmp_path / "two"), "batch": 2}
    first, second = together(2, asked)
    assert first["vectors"] == second["vectors"] and first["processes"] == 2
    assert first["wrapped"] == "DistributedDataParallel"
    assert first["losses"] == pytest.approx(alone["losses"], abs=1e-5)
    assert np.allclose(first["vectors"], alone["vectors"], atol=1e-4)
    kept = soft_prompts.load(tmp_path / "two" / "checkpoint-8" / "model.safetensors")
    assert kept.vectors.tolist() == first["vectors"]
    if CHECKPOINTING == "activation_checkpointing":
        # The Trainer of 5.6 cannot read its own optimizer's state where several processes compute on CPUs.
        again = together(2, {**asked, "resume": str(tmp_path / "two" / "checkpoint-4")})
        assert [each["vectors"] for each in again] == [first["vectors"]] * 2


# ---- TRL


@pytest.mark.slow
def test_in_trls_trainer(make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    """Which puts a head of its own on the hidden states, and trains to the same numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other tools' packages, as they are imported
        trl = pytest.importorskip("trl", reason="TRL is not installed")
        datasets = pytest.importorskip("datasets", reason="TRL wants datasets")
        _ = trl.SFTTrainer
    texts, base = [story[start : start + 90] for start in range(0, 400, 10)], make("llama")
    settings = {**arguments(tmp_path / "trl", save_strategy="steps", save_steps=4).to_dict(), "max_length": 64}
    with SoftPromptModel(base, tokenizer, TOKENS, text=story) as model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = trl.SFTTrainer(
            model=model,
            args=trl.SFTConfig(**{name: settings[name] for name in SFT}, bf16=False),
            train_dataset=datasets.Dataset.from_dict({"text": texts}),
            processing_class=tokenizer,
            optimizers=model.optimizers(STEPS),
        )
        trainer.train()
        found, kept = losses(trainer), soft_prompts.load(tmp_path / "trl" / "checkpoint-8" / "model.safetensors")
        assert model.is_gradient_checkpointing, "as it is TRL's default"
        assert kept == model.prompt("x")
    with SoftPromptModel(base, tokenizer, TOKENS, text=story) as model:
        chosen = {"data_collator": trainer.data_collator}
        wanted = losses(trained(model, trainer.train_dataset, tmp_path / "plain", options=chosen))
        assert found == pytest.approx(wanted, abs=1e-4)
        assert np.allclose(model.prompt("x").vectors, kept.vectors, atol=1e-4)


SFT = (
    "output_dir", "max_steps", "per_device_train_batch_size", "train_sampling_strategy", "logging_steps",
    "save_strategy", "save_steps", "use_cpu", "dataloader_pin_memory", "disable_tqdm", "report_to", "max_length",
)  # fmt: skip
