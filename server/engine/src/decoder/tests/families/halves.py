"""Adds `bf16.json` to every checkpoint of this folder: the logits of Hugging Face's transformers and
peft in bf16, which `../families.rs` compares with ours. Run it after `make.py`.

    pip install torch transformers peft
    python halves.py
"""

import json
import os
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import peft
import torch
import transformers

torch.set_num_threads(1)
HERE = Path(__file__).parent
VOICES = ("base", "patterns", "rslora")


def load(folder, voice):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation="eager"
    )
    if voice != "base":
        # Adapters in the model's own type, as ours are.
        model = peft.PeftModel.from_pretrained(model, folder / voice, autocast_adapter_dtype=False)
    return model.eval()


@torch.no_grad()
def logits(model, row):
    last = model(torch.tensor([row]), use_cache=False).logits[0, -1].float()
    return [round(float(x), 4) for x in last]


for file in sorted(HERE.glob("*/expected.json")):
    rows = json.loads(file.read_text())["rows"]
    models = {voice: load(file.parent, voice) for voice in VOICES}
    answers = {voice: [logits(model, row) for row in rows] for voice, model in models.items()}
    (file.parent / "bf16.json").write_text(json.dumps(answers) + "\n")
    print(file.parent.name, "transformers", transformers.__version__, "peft", peft.__version__)
