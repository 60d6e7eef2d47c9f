namespace GemmaCore.Testing.Fuzz;

/// <summary>Outcome of a fuzz run; an unexpected exception ends the run instead.</summary>
/// <param name="Inputs">Damaged inputs tried.</param>
/// <param name="Accepted">Those that were still sound, and then held what they promised.</param>
public readonly record struct FuzzCount(long Inputs, long Accepted);
