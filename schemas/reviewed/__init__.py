"""Tables of what was reviewed: who may do what, by document, row by row. The policy pack compares what is declared with
them, so whatever is not in a table is refused, known as a mistake or not. A change here is a change of security."""
