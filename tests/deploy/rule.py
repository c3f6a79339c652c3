"""What a rule is: a function that yields what is wrong, and templates that break it, so that it is seen to see."""


class Rule:
    def __init__(self, check):
        self.name = check.__name__
        self.check = check
        self.breaks = []

    def __call__(self, template):
        return list(self.check(template))

    def broken_by(self, expected):
        """Decorates a function that breaks a template so that one of the rule's problems has the words `expected`."""

        def add(change):
            self.breaks.append((change, expected))
            return change

        return add


ALL = []


def rule(check):
    """A rule about templates, with the name of its function."""
    made = Rule(check)
    ALL.append(made)
    return made
