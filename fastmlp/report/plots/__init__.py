"""The figures of a sweep, by matplotlib without a display: the extra `plots`. `fastmlp.report` puts them on a page."""
