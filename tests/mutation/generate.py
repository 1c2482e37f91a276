"""Make the mutants and no more: which test reaches which function is not found out.

``mutmut run`` does that too, which takes some minutes. Run where ``mutants/`` is to be.
"""

from mutmut.__main__ import create_mutants
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, setup_source_paths


def main() -> None:
    """Make what has changed since the last time anew."""
    set_mutant_under_test("mutant_generation")
    copy_src_dir()
    copy_also_copy_files()
    setup_source_paths()
    create_mutants(2)


if __name__ == "__main__":
    main()
