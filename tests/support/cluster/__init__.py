"""A MongoDB cluster of two shards for tests, without `mongos`, which is in no package that tests can install.

The shards and the config server are real: `mongod`, with MongoDB's own placement of documents and its own two-phase
commits. `router` stands in for `mongos`. Since MongoDB 6.0 a shard contains the code of a router, as commands whose
names begin with `cluster`; these carry out queries, and writes outside of transactions. The statements of a transaction
are divided here. A stand-in cannot show how fast `mongos` is, nor what it does when a shard goes away.
"""
