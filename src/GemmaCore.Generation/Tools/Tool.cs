namespace GemmaCore.Generation.Tools;

/// <summary>A function that a model may ask for.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Description">What it is for; null for nothing said.</param>
/// <param name="Parameters">JSON schema of its arguments, an object; null for a function without any.</param>
public sealed record Tool(string Name, string? Description, string? Parameters);

/// <summary>A call that a model asks for.</summary>
/// <param name="Name">The function.</param>
/// <param name="Arguments">Its arguments, a JSON object.</param>
public sealed record ToolCall(string Name, string Arguments);
