"""Names of data sets, the folder for downloads, and checks of web addresses: all that needs no data to be loaded."""

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from fastmlp.data.cifar import TITLES

DATASET_NAMES = ("auto", *TITLES, "embedded")


def cache_dir() -> Path | None:
    """Return the folder for downloads: `fastmlp` in XDG_CACHE_HOME, else in the platform's folder for caches.

    None where the user has neither a HOME nor a home in the system's table of users.
    """
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and Path(xdg).is_absolute():
        return Path(xdg) / "fastmlp"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if os.environ.get("HOME") == "":  # which Python takes for the root of all files
        return None
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        caches = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return caches / "fastmlp" if caches.is_absolute() else None


def wrong_address(url: str) -> str:
    """Return what is wrong with the address of a web folder, without its password; empty for an allowed one."""
    if not url.startswith(("http://", "https://")):
        fault = "is no web address; it must begin with https:// or http://"
    elif not re.fullmatch(r"[!-~]+", url):
        fault = "has blanks, control characters or letters that are not ASCII; write them as %XX, a host's as xn--"
    elif set(url) & set("?#\\"):
        fault = "is that of no folder: it has ?, # or a backslash"
    else:
        fault = wrong_host(url)
    if not fault:
        return ""
    shown = without_password(url) if "://" in url else f"***@{url.rpartition('@')[2]}" if "@" in url else url
    allowed = "a web folder, as https://host/folder, with name:password before its host if need be"
    return f"{shown!r} {fault}. Allowed is {allowed}."


def wrong_host(url: str) -> str:
    """Return why an address has no valid host; empty where it has one."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.port == 0:
            return "names no host, or port 0"
        parts.hostname.encode("idna")  # as the socket will
    except ValueError as error:
        return f"names no host ({without_password(str(error))})"
    return ""


def without_password(text: str) -> str:
    """Return a text with the name and password of each web address in it replaced by `***`."""
    return re.sub("://.*@", "://***@", text, flags=re.DOTALL)
