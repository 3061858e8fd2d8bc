"""Makes the checkpoints of this folder: one tiny random model per case with the answers of Hugging
Face's transformers and peft, which `../families.rs` compares with ours.

    pip install torch transformers peft
    python make.py && python halves.py
"""

import json
import os
import shutil
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import peft
import torch
import transformers

torch.set_num_threads(1)
HERE = Path(__file__).parent
ROWS = (5, 17, 11)
NEW = 64
# A smaller gap between the two best tokens might be decided by the order of a sum.
MARGIN = 2e-4
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

SIZES = dict(
    vocab_size=48,
    hidden_size=48,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    attn_implementation="eager",
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
TYPES = ["sliding_attention", "full_attention"]
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=10000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
CASES = {
    "llama": ("Llama", dict(tie_word_embeddings=False)),
    "llama-biased": ("Llama", dict(attention_bias=True, mlp_bias=True, num_key_value_heads=4)),
    "llama-3": ("Llama", dict(tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "mistral": ("Mistral", dict(sliding_window=7, head_dim=8)),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True)),
    "qwen2-window": (
        "Qwen2",
        dict(use_sliding_window=True, sliding_window=7, max_window_layers=1),
    ),
    "qwen3": ("Qwen3", dict(head_dim=8, rope_parameters=dict(rope_type="default", rope_theta=1e6))),
    "smollm3": ("SmolLM3", dict(no_rope_layer_interval=2)),
    "gemma2": (
        "Gemma2",
        dict(
            head_dim=8,
            sliding_window=7,
            query_pre_attn_scalar=12,
            attn_logit_softcapping=5.0,
            final_logit_softcapping=9.0,
        ),
    ),
    "gemma3": (
        "Gemma3",
        dict(
            head_dim=8,
            sliding_window=7,
            query_pre_attn_scalar=12,
            layer_types=TYPES,
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", factor=8.0, rope_theta=1e6),
                sliding_attention=dict(rope_type="default", rope_theta=1e4),
            ),
        ),
    ),
}
ADAPTERS = {
    "patterns": dict(
        r=4,
        lora_alpha=8,
        rank_pattern={"q_proj": 2, r"layers\.[1-9]\.mlp\.down_proj": 3},
        alpha_pattern={"mlp.gate_proj": 16, r"1\.self_attn\.v_proj": 4},
    ),
    "rslora": dict(r=4, lora_alpha=4, use_rslora=True),
}


def build(family, changes, seed):
    torch.manual_seed(seed)
    config_name = "Gemma3TextConfig" if family == "Gemma3" else f"{family}Config"
    config = getattr(transformers, config_name)(**{**SIZES, **changes})
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    # All weights are random, norms and biases too, so that none can be left out unnoticed.
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if "norm" in name:
                mean = 0.0 if family.startswith("Gemma") else 1.0
                parameter.normal_(mean, 0.2)
            elif name.endswith("bias"):
                parameter.normal_(0.0, 0.3)
            elif "embed" in name or "lm_head" in name:
                # Where the head is the embedding, wide ones would only repeat the last token.
                parameter.normal_(0.0, 0.08 if config.tie_word_embeddings else 0.4)
            else:
                parameter.normal_(0.0, 0.7 / parameter.shape[1] ** 0.5)
            # The file holds bf16, so all must be representable.
            parameter.copy_(parameter.to(torch.bfloat16).to(torch.float32))
    return model


def adapted(model, settings, seed):
    torch.manual_seed(seed)
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=TARGETS, **settings)
    wrapped = peft.get_peft_model(model, config).eval()
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            with torch.no_grad():
                parameter.normal_(0.0, 0.5 / parameter.shape[1] ** 0.5)
    return wrapped


@torch.no_grad()
def answers(model, rows):
    """Logits after each row, and its greedy continuation; None where a choice is too close."""
    logits, greedy = [], []
    for row in rows:
        tokens = list(row)
        for step in range(NEW):
            last = model(torch.tensor([tokens]), use_cache=False).logits[0, -1].float()
            if step == 0:
                logits.append([round(float(x), 6) for x in last])
            best = torch.topk(last, 2)
            if best.values[0] - best.values[1] < MARGIN:
                return None
            tokens.append(int(best.indices[0]))
        greedy.append(tokens[len(row) :])
    # A model that only repeats itself would show little.
    if len(set().union(*greedy)) < 6:
        return None
    return dict(logits=logits, greedy=greedy)


def make(name, family, changes, seed):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model = build(family, changes, seed)
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(3, 48, (n,), generator=generator).tolist() for n in ROWS]
    expected = dict(rows=rows, base=answers(model, rows))
    if expected["base"] is None:
        return False
    build(family, changes, seed).to(torch.bfloat16).save_pretrained(folder)
    for adapter, settings in ADAPTERS.items():
        wrapped = adapted(build(family, changes, seed), settings, seed + 1)
        expected[adapter] = answers(wrapped, rows)
        wrapped.save_pretrained(folder / adapter)
        (folder / adapter / "README.md").unlink(missing_ok=True)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if None in expected.values():
        return False
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    return True


for number, (name, (family, changes)) in enumerate(CASES.items()):
    seed = 1000 * number
    while not make(name, family, changes, seed):
        seed += 10
    print(name, "seed", seed, "transformers", transformers.__version__, "peft", peft.__version__)
