"""`make bench`: the stages alone, the pipeline, and a plain tutorial worker, in one run on the machine at hand."""
