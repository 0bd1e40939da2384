"""Candidates for the one vector, judged on somebody's own task from one pass through each encoder.

task = open_task(source, options)          # what is judged, and what each item says (`tasks`)
found = extract(embedder, task.records, ...)      # every candidate's vectors (`extract`)
result = judge(task, candidates, ...)      # one number an item -> intervals, tests, groups, advice (`judging`)
"""
