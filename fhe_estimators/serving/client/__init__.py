"""The data owner's half: secret keys live and die here."""

from .async_model import AsyncRemoteModel
from .fhe_client import FHEClient
from .remote_model import RemoteModel

__all__ = ["AsyncRemoteModel", "FHEClient", "RemoteModel"]
