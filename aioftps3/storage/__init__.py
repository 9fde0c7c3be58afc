"""Files and directories over the keys of an object store; knows no FTP.

Only `aioftps3.storage.s3store` knows S3, so it is not imported here.
"""

from aioftps3.storage.emptied import EmptiedDirectories
from aioftps3.storage.entries import Entry
from aioftps3.storage.files import ReadFile, WriteFile
from aioftps3.storage.locks import PathLocks
from aioftps3.storage.moves import Moves
from aioftps3.storage.paths import ROOT, VirtualPath
from aioftps3.storage.tree import Tree

__all__ = ("ROOT", "EmptiedDirectories", "Entry", "Moves", "PathLocks", "ReadFile", "Tree", "VirtualPath", "WriteFile")
