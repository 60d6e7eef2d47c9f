namespace GemmaCore.Cli.Tests;

/// <summary>What a newcomer sees in a terminal of eighty columns.</summary>
public sealed class TerminalTests
{
    [Theory]
    [InlineData("-h")]
    [InlineData("demo -h")]
    [InlineData("generate -h")]
    [InlineData("train -h")]
    [InlineData("predict -h")]
    [InlineData("doctor")]
    [InlineData("info demo")]
    public void Lines_fit_into_eighty_columns_examples_apart(string arguments)
    {
        string[] lines = InTerminal(arguments);
        Assert.True(lines.Length > 5, string.Join('\n', lines));
        // A path has no place to break; an example that was broken could not be pasted.
        Assert.All(lines, line => Assert.True(line.Length <= 80 || !line[18..].Trim().Contains(' ') || line.TrimStart().StartsWith("gemmacore ", StringComparison.Ordinal), line));
    }

    [Fact]
    public void The_list_of_verbs_is_a_screen_and_shows_no_examples()
    {
        string[] lines = InTerminal("-h");
        Assert.InRange(lines.Length, 15, 40);
        Assert.DoesNotContain(lines, line => line.Contains("Examples", StringComparison.Ordinal));
    }

    // script(1) gives the program a terminal.
    private static string[] InTerminal(string arguments)
    {
        string command = $"stty cols 80 rows 50; '{GemmacoreProcess.Host}' exec '{GemmacoreProcess.Program}' {arguments}";
        using GemmacoreProcess process = GemmacoreProcess.Launch(Environment.CurrentDirectory, "env", ["TERM=dumb", "script", "-qec", command, "/dev/null"]);
        return process.WaitForEnd().Expect(0).Output.Replace("\r", "", StringComparison.Ordinal).TrimEnd('\n').Split('\n');
    }
}
