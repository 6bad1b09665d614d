"""Owns the scratch folder: short enough for socket paths, open to the mail system's users."""

import os
import shutil
import tempfile


class Folder:
    """A temporary folder that user postfix can traverse (pytest's own tmp_path is 0700)."""

    def __init__(self, prefix="gp-"):
        self.path = tempfile.mkdtemp(prefix=prefix)
        os.chmod(self.path, 0o755)

    def sub(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, mode=0o755, exist_ok=True)
        os.chmod(path, 0o755)
        return path

    def file(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
