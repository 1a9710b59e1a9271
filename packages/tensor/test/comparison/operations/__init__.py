"""What each operation is in PyTorch: functions of the operands and of the attributes that its fixtures use.

Every module of this folder adds its own to the table; a new group of operations needs one more file.
"""

import importlib
import pkgutil

OPERATIONS = {}
for module in pkgutil.iter_modules(__path__):
    OPERATIONS.update(importlib.import_module(f"{__name__}.{module.name}").OPERATIONS)
