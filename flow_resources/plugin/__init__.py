"""The provider plugin: the verbs on Pulumi's provider protocol, for programs in every language.

The engine starts one process for each provider resource of an operation (`__main__`). Its calls (`servicer`) are read
from the wire and written to it (`wire`), and become the same verbs as in the dynamic host; what the program passes
along there is found out here (`declared`).
"""
