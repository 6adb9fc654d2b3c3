"""The bench: what Master costs, alone or beside a Node server of the source document's design."""
