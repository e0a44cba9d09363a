"""Dead letters: lists refused records, replays them, and records what was done about each."""
