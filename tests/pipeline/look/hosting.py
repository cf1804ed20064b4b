"""A widget outside Jupyter: a page that holds it as a notebook does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from driftmap.pipeline.look import widget

SCRIPT = Path(widget.__file__).parent / "templates" / "widget.js"
HOST = """<!DOCTYPE html><div id="cell"></div><script type="module">
const state = STATE, followers = [];
window.model = {
  get: (name) => state[name],
  set: (name, value) => {
    state[name] = value;
    for (const [event, follow] of followers) if (event === `change:${name}`) follow();
  },
  on: (event, follow) => followers.push([event, follow]),
  save_changes: () => { window.n_saved = (window.n_saved || 0) + 1; },
};
const source = new Blob([SCRIPT], { type: "text/javascript" });
const { default: made } = await import(URL.createObjectURL(source));
made.render({ model: window.model, el: document.getElementById("cell") });
</script>"""


def host_widget(shown: Any, path: Path, **state: Any) -> Path:
    """Write a page with the widget, whose state is changed before it is drawn."""
    state = {name: getattr(shown, name) for name in ("_page", "height", "window", "selection", "hover")} | state
    text = [json.dumps(one).replace("</", "<\\/") for one in (state, SCRIPT.read_text(encoding="utf-8"))]
    path.write_text(HOST.replace("STATE", text[0]).replace("SCRIPT", text[1]), encoding="utf-8")
    return path
