"""What must be true of a simulated world at its end, whatever befell it.

I1   what was promised to a user is in the log, once
I2   versions are contiguous, ids are unique
I3   who follows the log has seen every event
I4   each event has one id on the wire, and was confirmed before anybody believed so
I5   a task has one end, and nothing follows it
I6   only legal steps are recorded, within what the policy of the task allows
I7   an attempt begins its effect once
I8   only the current attempt, of its holder, counts
I9   a view is the fold of the log
I10  positions only grow, and never beyond the log
I11  a report that the broker took charge of is recorded, refused or known already
I12  the dead letters are the poisonous messages, and no others
I13  a task is dispatched after all that it needs
I14  who was answered finds the answer in a view that has come so far
I16  what can end well ends well, in time
I17  nothing is left over: no message, no delivery
I18  no loop ends by itself
"""
