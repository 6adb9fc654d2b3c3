"""The bench: Master's costs, alone or beside a Node server of the source document's design."""
