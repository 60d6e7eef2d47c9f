using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>No plan fits into the memory there is.</summary>
public sealed class NothingFitsException(string message) : ConfigurationException(message);
