"""Reading what other recorders wrote: one file for each format, found by what a file holds."""
