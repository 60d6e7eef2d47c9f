using System.Globalization;
using GemmaCore.Proof;

// tools/parity.sh, tools/parity_4b.sh, tools/fuzz.sh and tools/load_test.sh call this; each prints Markdown and ends with 0 when everything held.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
switch (args)
{
    case ["parity", var log]: return ParityTable.Print(log);
    case ["medgemma-4b", var folder]: return WholeMedGemma.Compare(folder);
    case ["fuzz", var inputs, var seed]: return FuzzTable.Print(long.Parse(inputs), int.Parse(seed));
    case ["load", var seconds, var clients, var seed]: return await LoadTest.RunAsync(int.Parse(seconds), int.Parse(clients), int.Parse(seed));
    default:
        Console.Error.WriteLine("usage: proof parity LOG | medgemma-4b FOLDER | fuzz INPUTS SEED | load SECONDS CLIENTS SEED (see tools/*.sh)");
        return 2;
}
