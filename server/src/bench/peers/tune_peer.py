"""Tunes an adapter with transformers and peft, and prints speed, memory and losses as JSON.

usage: tune_peer.py MODEL WORKLOAD THREADS f32|bf16 ADAPTER cpu|cuda:N STEPS
"""

import json
import statistics
import sys
import time

model_folder, workload, threads, dtype, adapter, device, steps = sys.argv[1:8]

import torch

torch.set_num_threads(int(threads))

from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
work = json.load(open(workload))
kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
base = AutoModelForCausalLM.from_pretrained(
    model_folder, dtype=kind, attn_implementation="sdpa"
)
model = PeftModel.from_pretrained(base, adapter, is_trainable=True).to(device)
if work["checkpointing"]:
    base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    base.enable_input_require_grads()
model.train()
trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
settings = work["adamw"]
optimizer = torch.optim.AdamW(
    trained,
    lr=work["learning_rate"],
    betas=(settings["beta1"], settings["beta2"]),
    eps=settings["epsilon"],
    weight_decay=settings["weight_decay"],
)
batches = [
    (
        torch.tensor([row["tokens"] for row in batch], device=device),
        torch.tensor([row["answer"] for row in batch], device=device),
    )
    for batch in work["batches"]
]
losses, seconds = [], []
for step in range(int(steps)):
    tokens, answers = batches[step % len(batches)]
    start = time.perf_counter()
    # Only the last position has an answer, so only there are scores computed.
    output = model(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        use_cache=False,
        logits_to_keep=1,
    )
    loss = torch.nn.functional.cross_entropy(output.logits[:, -1].float(), answers)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, settings["max_norm"])
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if device != "cpu":
        torch.cuda.synchronize()
    seconds.append(time.perf_counter() - start)
    losses.append(loss.item())

peak = None
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        peak = int(line.split()[1]) / 1024
if device != "cpu":
    free, total = torch.cuda.mem_get_info()
    peak = (total - free) / 2**20
result = {
    "tokens_per_second": batches[0][0].numel() / statistics.median(seconds),
    "peak_mb": peak,
    "losses": losses,
    "note": f"torch {torch.__version__}, {dtype}",
}
print(json.dumps(result), flush=True)
