# SPDX-License-Identifier: Apache-2.0
"""The REST API of OSCAR, all releases ⇄ model values. The only package that uses requests.

Raw JSON of OSCAR ends here. What a run does with an answer belongs to `drive`.
"""
