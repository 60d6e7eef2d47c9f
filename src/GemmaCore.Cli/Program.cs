Console.WriteLine("gemmacore");
