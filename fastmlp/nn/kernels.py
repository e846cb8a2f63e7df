"""The kernels that this package goes with: importing this module refuses those of another version.

They come with it, and as a distribution of their own besides, whose files have the same places. Of two versions the one
that was installed last is there, and what compiled code of ours calls may have changed in it.
"""

import fastmlp_kernels
from fastmlp import __version__

VERSION = "0.1.0"

if fastmlp_kernels.__version__ != VERSION:
    raise ImportError(
        f"fastmlp {__version__} needs fastmlp_kernels {VERSION}, and {fastmlp_kernels.__path__[0]} has "
        f"{fastmlp_kernels.__version__}: uninstall fastmlp-kernels, then install fastmlp again, which brings its own"
    )
