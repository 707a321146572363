# SPDX-License-Identifier: Apache-2.0
"""OSCAR-Batch: process a huge backlog of files on OSCAR, as an OSCAR service.

The map of the house, in the order in which data flows:

    __main__     argv → wired clients → the spine → files, summary, exit code
    batch        the spine: config ─▶ service ─▶ capacity ─▶ index ─▶ plan ─▶ invoke ─▶ report
    story        what has happened so far, growing into the report
    config       config.json → Config; all defaults and validation
      keys       the table of config keys and their checks
    credentials  which credential belongs to which address
    oscar        the OSCAR API → model; the only room that knows requests
      status     the six shapes of /system/status → nodes
      definition service definitions and quotas → model
      quantity   Kubernetes quantities → millicores, bytes
    storage      MinIO; the only room that knows minio
      parallel   a folder → its objects, subfolders side by side
      ahead      an iterator that a thread works off
      walk       a way to fetch a page → all pages of one listing, checked
      listing    the bytes of a page → objects
      upload     pieces of bytes → one object, verified
    preflight    what must not be started
    capacity     nodes + needs + headroom → slots, with reasons
      explain    the reasons in one sentence
    manifest     a file that names objects → objects
    selection    objects → items, by the rules of the config
    done         items → those without output
    index        items → index lines and checkpoints
    cost         what the config and the last run tell of times
    plan         index + slots + cost → chunks, and why so
      workload   index + cost → where how much work lies
      auto       the candidates, and which is fastest
      strategies where to cut
      simulate   chunks + slots → how long a run would take
    offline      saved answers and indexes → capacity, chunks
    payload      chunk → the bytes of an invocation
    invoke       chunks → outcomes
    report       Report → JSON, HTML, terminal
    deploy       an FDL file → services on a cluster
    objects      a batch of objects, column by column
    model        the nouns
      room       those of nodes and capacity
      choice     those of planning
    errors       the errors

Imports point down: __main__ → batch → stages → model → errors.
"""
