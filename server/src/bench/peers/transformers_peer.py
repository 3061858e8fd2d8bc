"""Does one measure with transformers (and peft), as quickly as those can, and prints it as JSON.

usage: transformers_peer.py MEASURE MODEL WORKLOAD THREADS f32|bf16 ADAPTERS cpu|cuda:N BEAT

BEAT is a rate that another type has reached: where a trial is far below it, the trial counts.
"""

import json
import statistics
import sys
import time

measure, model_folder, workload, threads, dtype, adapters, device, beat = sys.argv[1:9]

import torch

torch.set_num_threads(int(threads))
torch.set_grad_enabled(False)

from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
work = json.load(open(workload))
kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
model = AutoModelForCausalLM.from_pretrained(
    model_folder, dtype=kind, attn_implementation="sdpa"
)
model.to(device).eval()
model.generation_config.eos_token_id = None
model.generation_config.pad_token_id = 0


def peak_megabytes():
    if device != "cpu":
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**20
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024


def report(value, note=""):
    note = f"torch {torch.__version__}, {dtype}" + (", " + note if note else "")
    print(json.dumps({"value": value, "peak_mb": peak_megabytes(), "note": note}), flush=True)


def seconds(run):
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median(run, count=3, warm=1):
    for _ in range(warm):
        run()
    return statistics.median(seconds(run) for _ in range(count))


def generate(tokens, count, of=model, **options):
    return of.generate(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=False,
        **options,
    )


def decode(prompts, count, of=model, **options):
    """New tokens per second after the first one."""
    tokens = torch.tensor(prompts, device=device)
    first = median(lambda: generate(tokens, 1, of, **options))
    whole = median(lambda: generate(tokens, count, of, **options), warm=0)
    return len(prompts) * (count - 1) / (whole - first)


if measure == "first_token":
    generate(torch.tensor(work["prompts"][:1], device=device), 1)
    report(0.0)
elif measure == "decode_single":
    report(decode(work["prompts"][:1], work["single_tokens"]))
elif measure == "peak_memory":
    generate(torch.tensor(work["prompts"][:1], device=device), work["single_tokens"])
    report(0.0)
elif measure == "prefill_512":
    tokens = torch.tensor([work["long_prompt"]], device=device)
    taken = median(lambda: model(tokens, use_cache=True, logits_to_keep=1), 3, 1)
    report(tokens.numel() / taken)
elif measure == "decode_18_adapters":
    from peft import PeftModel

    names = [str(voice) for voice in range(len(work["prompts"]))]
    # Adapters in the model's own type: f32 ones would be slower beside a bf16 base.
    with_adapters = PeftModel.from_pretrained(
        model, f"{adapters}/0", adapter_name="0", autocast_adapter_dtype=dtype == "f32"
    )
    for name in names[1:]:
        with_adapters.load_adapter(
            f"{adapters}/{name}", adapter_name=name, autocast_adapter_dtype=dtype == "f32"
        )
    with_adapters.eval()
    value = decode(work["prompts"], work["voice_tokens"], with_adapters, adapter_names=names)
    report(value, "one mixed batch")
elif measure == "survey_sweep":
    # Keys and values of the personas are computed once per batch of them, and cut back after each
    # question.
    def sweep(batch, questions):
        for start in range(0, len(work["personas"]), batch):
            personas = torch.tensor(work["personas"][start : start + batch], device=device)
            cache = DynamicCache()
            model(personas, past_key_values=cache, logits_to_keep=1)
            for question in questions:
                tokens = torch.tensor([question] * len(personas), device=device)
                scores = model(tokens, past_key_values=cache, logits_to_keep=1).logits
                scores.float().log_softmax(-1)[:, -1, work["options"]]
                cache.crop(-len(question))

    def rate(batch, questions, count, warm=0):
        taken = median(lambda: sweep(batch, questions), count, warm)
        return len(work["personas"]) * len(questions) / taken

    trial = work["questions"][:2]
    sweep(6, trial[:1])
    tried = {batch: rate(batch, trial, 1) for batch in (6, 18)}
    batch = max(tried, key=tried.get)
    if tried[batch] < 0.5 * float(beat):
        report(tried[batch], f"batches of {batch}, {len(trial)} questions only")
    else:
        report(rate(batch, work["questions"], 2), f"batches of {batch}")
else:
    sys.exit(f"unknown measure {measure}")
