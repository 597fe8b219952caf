"""`python sharded.py ddp` in each of some processes: the law on a model that they share. It prints JSON.

Sharded by FSDP2, each process holds a part of every weight, the embedding's too; by DDP, all of them.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]


def neighbour(name: str) -> Any:
    """A module of the tests; this file is a program of its own, and no part of a package."""
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(way: str) -> None:
    import torch
    import torch.distributed as dist

    import soft_prompts

    law, conftest = neighbour("law"), neighbour("conftest")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    model, tokenizer = conftest.make_model("llama"), conftest.make_tokenizer("bytes")
    pair = law.Pair(model, tokenizer)
    pair.model = shared(model, way)
    with soft_prompts.attach(pair.model, tokenizer, prompts=[pair.prompt]):
        apart = 0.0
        for parts in law.PLACES.values():
            soft, plain = pair.ids(parts)
            one, two = (law.logits(pair.model, ids) for ids in (soft, plain))
            apart = max(apart, float((one - two).abs().max()))
        pair.model = getattr(pair.model, "module", pair.model)
        written = pair.same(synced_gpus=way == "fsdp").tolist()
    print(json.dumps({"rank": dist.get_rank(), "apart": apart, "written": written}), flush=True)
    dist.destroy_process_group()


def shared(model: Any, way: str) -> Any:
    """The model as this process has it."""
    import torch

    if way == "ddp":
        return torch.nn.parallel.DistributedDataParallel(model)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model.model.embed_tokens, mesh=mesh)
    return fully_shard(model, mesh=mesh)


if __name__ == "__main__":
    main(sys.argv[1])
