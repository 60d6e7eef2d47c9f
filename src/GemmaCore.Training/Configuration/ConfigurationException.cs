namespace GemmaCore.Training.Configuration;

/// <summary>A training configuration cannot be used. The message names the key, its value and what was expected.</summary>
public class ConfigurationException : Exception
{
    /// <summary>Creates the exception with its one-line message.</summary>
    public ConfigurationException(string message) : base(message) { }
}
