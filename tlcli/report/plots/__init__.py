"""The figures of a report. Each function takes its data and the number of columns that fit side by side."""
