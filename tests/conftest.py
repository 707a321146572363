# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: properties are judged by their truth, not by the machine's speed."""

from hypothesis import HealthCheck, settings

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
