"""The inspector's pack: what an authority asks of a dose office, of a period, as files that reproduce to the byte."""
