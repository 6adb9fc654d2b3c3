"""Operations: each decides an event, writes to the draft and queues replies. One file per noun."""
