"""What a base by hand says, and what one that was trained from it."""

from asked import said

BEFORE = {name: [said("3", 2.0), said("4", 1.0), said("4", 1.5)] for name in "abcd"}
AFTER = {name: [said("3", 4.0), said("3", 3.0), said("4", 1.0)] for name in "abcd"}
