"""The doctor: finds what is wrong, or will be, around an installation, and says what to do about each."""
