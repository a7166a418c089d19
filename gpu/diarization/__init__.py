"""Who speaks when: voices of a recording, and the turns of its speakers."""
