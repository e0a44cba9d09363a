"""Fixtures for all tests."""

from tests.support.installation import installation as installation
from tests.support.stack import stack as stack
